"""The matches that a trained network's loss selects on given images."""

from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vicregl_fast.augment import reference
from vicregl_fast.augment.normalisation import levels_of
from vicregl_fast.augment.parameters import ViewParameters, draw_parameters
from vicregl_fast.augment.recipe import view_recipes
from vicregl_fast.config import RunConfig
from vicregl_fast.data.open_images import open_images
from vicregl_fast.geometry.directions import LARGE_VIEWS, Direction
from vicregl_fast.geometry.matching import match_cells
from vicregl_fast.losses.feature_matching import match_features
from vicregl_fast.models.backbone import feature_grid
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.runs.networks import load_network
from vicregl_fast.visualization.matches import MatchedImage, View
from vicregl_fast.visualization.some_images import some_images


def matches_of_run(run: Path, images: Path, count: int, gamma: int | None, seed: int) -> list[MatchedImage]:
    """Selects matches with a run's network on some images of a folder or store.

    Args:
        run: a run's folder, or one of its checkpoint files.
        images: a folder of images, or a store.
        count: number of images.
        gamma: matches kept by each way of matching; None takes ``loss.gamma_large`` of the run.
        seed: decides which images, and which crops of them.

    Raises:
        UserError: there is no such run, or there are no images, or an image does not decode.
    """
    network, config = load_network(run)
    return select_matches(
        network, config, some_images(open_images(images), count, seed), gamma or config.loss.gamma_large, seed
    )


@torch.inference_mode()
def select_matches(
    network: VICRegLNetwork, config: RunConfig, images: Sequence[np.ndarray], gamma: int, seed: int
) -> list[MatchedImage]:
    """Makes both large views of every image, and matches cells of the first view with cells of the second.

    Where the network has no projector (α = 1), the cells of the backbone's map are matched by features in its place.

    Args:
        network: in eval mode, on the CPU.
        config: the run's configuration; says how views are made, and whether positions in flipped views are mirrored.
        images: uint8 [H, W, 3] each.
        gamma: matches that each way of matching keeps.
        seed: decides the crops and distortions.
    """
    heights, widths = (np.array([image.shape[axis] for image in images]) for axis in (0, 1))
    recipes = view_recipes(config.views)[:LARGE_VIEWS]
    drawn = [
        draw_parameters(recipe, seed, 0, view, np.arange(len(images)), heights, widths)
        for view, recipe in enumerate(recipes)
    ]
    pixels = [torch.from_numpy(image) for image in images]
    views = [reference.apply(*made, pixels) for made in zip(recipes, drawn, strict=True)]
    grid = feature_grid(network.backbone, recipes[0].size)
    a, b = drawn
    mirror = config.loss.switches().mirror_flips
    location = match_cells(a.boxes, a.flips & mirror, grid, b.boxes, b.flips & mirror, grid, gamma)
    maps = [_local_embeddings(network, view) for view in views]
    direction = Direction(0, 1, gamma, 1.0)
    feature = match_features(maps, [direction])[direction].map(Tensor.numpy)
    pictures = [levels_of(view) for view in views]
    return [
        MatchedImage(
            image,
            (_view(pictures[0][k], a[k : k + 1], grid), _view(pictures[1][k], b[k : k + 1], grid)),
            location.map(itemgetter(k)),
            feature.map(itemgetter(k)),
        )
        for k, image in enumerate(images)
    ]


def _local_embeddings(network: VICRegLNetwork, view: Tensor) -> Tensor:
    """What is matched by features, [n, cells, channels], of a view [n, 3, S, S]."""
    features = network.backbone(view).map
    return features.flatten(2).transpose(1, 2) if network.projector is None else network.projector(features)


def _view(picture: np.ndarray, made: ViewParameters, grid: int) -> View:
    """The view of a picture uint8 [S, S, 3] with its parameters, which are of this one sample."""
    top, left, height, width = made.boxes[0].tolist()
    return View(picture, (top, left, height, width), bool(made.flips[0]), grid)
