"""The same samples through every engine, from the same stored bytes."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from vicregl_fast.augment.backends import choose_backend
from vicregl_fast.augment.normalisation import levels_of
from vicregl_fast.augment.recipe import ViewsConfig, view_recipes
from vicregl_fast.data.engine import EngineName, Store
from vicregl_fast.data.ffcv_engine.beton import Beton
from vicregl_fast.data.jpegs import JpegStore, jpegs_of_beton
from vicregl_fast.data.side_by_side import open_each
from vicregl_fast.data.source import open_source
from vicregl_fast.data.torchvision_engine.folder import ImageFolder
from vicregl_fast.data.views import ViewMaker
from vicregl_fast.devices import choose_device
from vicregl_fast.philox import permutation
from vicregl_fast.training.feeds import open_feed
from vicregl_fast.visualization.view_sheet import draw_view_sheet


@dataclass(frozen=True)
class StoredJpegs(ImageFolder):
    """The JPEGs of a store as the torchvision engine takes a folder's files."""

    jpegs: JpegStore

    def open(self, index: int) -> Image.Image:
        """The image, decoded by PIL."""
        return Image.open(io.BytesIO(self.jpegs.jpeg(index).tobytes())).convert("RGB")


def draw_engine_views(path: Path, views: ViewsConfig, engines: Sequence[EngineName], count: int, seed: int) -> Figure:
    """A contact sheet of ``count`` samples of a store, or of a folder of images, which is converted for it.

    Engines whose package is missing, or that cannot read the store, are left out with a note.

    Raises:
        UserError: nothing to read at ``path``, or no engine that reads it.
    """
    device = choose_device()
    recipes = view_recipes(views)
    backend = choose_backend(views.backend, device)
    maker = ViewMaker(recipes, [1] * len(recipes), (), True, seed, device, backend)
    with TemporaryDirectory(prefix="views-") as cache:
        stores = open_each(path, engines, partial(_open_stored, path, Path(cache)))
        jpegs = _jpegs(next(iter(stores.values())))
        indices = np.sort(permutation(seed, 0, len(jpegs))[:count])
        pictures = {}
        for engine, store in stores.items():
            with open_feed(store, maker, count, workers=1).loader([indices], epoch=0) as loader:
                (batch,) = loader
                pictures[engine] = [levels_of(view) for view in batch.views]
        images = [np.asarray(as_folder(jpegs).open(index)) for index in indices.tolist()]
        drawn = maker.draw(indices, jpegs.heights[indices], jpegs.widths[indices], epoch=0)
        return draw_view_sheet(images, [each.boxes for each in drawn], pictures)


def _open_stored(path: Path, cache: Path, engine: EngineName) -> Store:
    """For torchvision, too, the stored bytes, so that all see the same pixels."""
    if engine == "torchvision":
        return as_folder(_jpegs(open_source(path, cache)))
    return open_source(path, cache, engine=engine)


def _jpegs(store: Store) -> JpegStore:
    if isinstance(store, StoredJpegs):
        return store.jpegs
    if isinstance(store, Beton):
        return jpegs_of_beton(store)
    assert isinstance(store, JpegStore)
    return store


def as_folder(jpegs: JpegStore) -> StoredJpegs:
    """A store's JPEGs for the torchvision engine."""
    names = tuple(f"image {index}" for index in range(len(jpegs)))
    return StoredJpegs(jpegs.path, names, jpegs.labels, jpegs.classes, jpegs)
