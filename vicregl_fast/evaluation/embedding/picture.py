"""A picture of features: each image a point of the plane, coloured by its class.

Shape letters: n images, c channels.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from dataprep.atomic import atomic_file
from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.evaluation.chosen_images import ChosenImages
from vicregl_fast.evaluation.embedding.files import FEATURES, PICTURE
from vicregl_fast.evaluation.embedding.scatter import draw_points
from vicregl_fast.evaluation.principal_components import PrincipalComponents
from vicregl_fast.philox import permutation

SHOWN = 20_000
"""Points drawn at most; more hide each other, and UMAP would take hours."""
NEIGHBOURS = 15
"""Of a feature, by which UMAP places it (umap-learn's default)."""


class Plane(NamedTuple):
    """Features in the plane.

    Attributes:
        points_n2: x and y, float32 [n, 2].
        axes: what x and y are.
    """

    points_n2: np.ndarray
    axes: tuple[str, str]


Planar = Callable[[np.ndarray, int], Plane]
"""Brings features float32 [n, c] to the plane; takes a seed, too."""


def choose_plane(name: str) -> Planar | None:
    """How features are brought to the plane: ``umap``, ``pca``, ``auto``, or ``none`` for no picture.

    ``auto`` takes UMAP where umap-learn is installed; else principal components, which a note says.

    Raises:
        UserError: UMAP is asked for, and umap-learn is not installed.
    """
    installed = find_spec("umap") is not None
    if name == "umap" and not installed:
        raise UserError("--picture umap needs umap-learn: pip install 'umap-learn>=0.5.7', or take --picture pca")
    if name == "auto" and not installed:
        note("umap-learn is not installed, so that the picture shows principal components")
    if name == "none":
        return None
    return _by_umap if installed and name != "pca" else _by_components


def write_picture(folder: Path, chosen: ChosenImages, plane: Planar, seed: int) -> Path:
    """Draws the features in a folder, of ``SHOWN`` images at most, into the same folder; returns the picture's path.

    Args:
        folder: holds the features of the images.
        chosen: says their classes.
        plane: brings features to the plane.
        seed: decides which images are shown, and UMAP.

    Raises:
        UserError: the picture cannot be written.
    """
    features = np.load(folder / FEATURES, mmap_mode="r")
    shown = np.sort(permutation(seed, 0, len(features))[:SHOWN])
    points_n2, axes = plane(np.asarray(features[shown]), seed)
    store = chosen.store
    labels = None if store.labels is None else store.labels[chosen.indices[shown]]
    title = f"{len(features)} images" if len(shown) == len(features) else f"{len(shown)} of {len(features)} images"
    figure = draw_points(points_n2, labels, store.classes, title, axes)
    with atomic_file(folder / PICTURE) as file:
        figure.savefig(file, format="png", dpi=110)
    return folder / PICTURE


def _by_components(features_nc: np.ndarray, seed: int) -> Plane:
    rows = torch.from_numpy(features_nc)
    components = PrincipalComponents.of(rows, 2)
    first, second = (f"component {k} ({share:.0%} of variance)" for k, share in enumerate(components.shares_k, 1))
    return Plane(components(rows).numpy(), (first, second))


def _by_umap(features_nc: np.ndarray, seed: int) -> Plane:
    """McInnes, Healy, Melville: UMAP, arXiv:1802.03426; by umap-learn, with cosine distances.

    Components take its place where there are no more features than neighbours.
    """
    if len(features_nc) <= NEIGHBOURS:
        return _by_components(features_nc, seed)
    from umap import UMAP

    umap = UMAP(n_neighbors=NEIGHBOURS, metric="cosine", random_state=seed % 2**32, n_jobs=1)
    points = umap.fit_transform(features_nc)
    return Plane(np.asarray(points, np.float32), ("UMAP 1", "UMAP 2"))
