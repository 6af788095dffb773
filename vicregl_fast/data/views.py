"""From decoded images to the views of one training step, with the matches of their cells."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vicregl_fast.augment.backends import Backend, make_view
from vicregl_fast.augment.centre import centre_parameters
from vicregl_fast.augment.decoded_batch import DecodedBatch, known_labels
from vicregl_fast.augment.parameters import ViewParameters, draw_parameters
from vicregl_fast.augment.recipe import ViewRecipe
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.matches import match_views
from vicregl_fast.geometry.directions import Direction
from vicregl_fast.geometry.matches import Matches


@dataclass(frozen=True, kw_only=True)
class ViewMaker:
    """Makes views and matches of decoded images. Its random choices depend only on (seed, epoch, sample, view).

    Attributes:
        recipes: one for each view.
        grids: cells along a side of each view's feature map.
        directions: which location matches the loss needs.
        mirror_flips: whether the positions of a flipped view are mirrored (by the preset ``official`` they are not).
        seed: of the run.
        device: where the views are needed.
        backend: what makes the views: ``numba`` on the CPU, the others on ``device``.
        threads: how many the ``numba`` backend uses.
        dtype: of the views.
        centre: the recipe whose size undistorted centre crops of every image have, made besides; None for none.
    """

    recipes: Sequence[ViewRecipe]
    grids: Sequence[int]
    directions: Sequence[Direction]
    mirror_flips: bool
    seed: int
    device: torch.device
    backend: Backend = "torch"
    threads: int = 1
    dtype: torch.dtype = torch.float32
    centre: ViewRecipe | None = None

    def make(self, batch: DecodedBatch, epoch: int) -> ViewBatch:
        """Crops and distorts the images of a batch, and matches the cells of their views."""
        drawn = self.draw(batch.indices, batch.heights, batch.widths, epoch)
        if self.backend != "numba":
            batch = batch.to(self.device)
        views = tuple(self._view(*each, batch) for each in zip(self.recipes, drawn, strict=True))
        centre_crops = None
        if self.centre is not None:
            centre_crops = self._view(self.centre, centre_parameters(batch.heights, batch.widths), batch)
        labels = known_labels(batch.labels)
        on_device = None if labels is None else self._to_device(labels)
        return ViewBatch(batch.indices, views, on_device, self._match(drawn), centre_crops)

    def draw(self, indices: np.ndarray, heights: np.ndarray, widths: np.ndarray, epoch: int) -> list[ViewParameters]:
        """Draws what is done to every view.

        Args:
            indices: the samples, int64 [b].
            heights, widths: sizes of their images in pixels, int64 [b].
            epoch: decides the random choices, with the seed.

        Returns:
            The parameters of each view, for the b samples.
        """
        return [
            draw_parameters(recipe, self.seed, epoch, view, indices, heights, widths)
            for view, recipe in enumerate(self.recipes)
        ]

    def _view(self, recipe: ViewRecipe, parameters: ViewParameters, batch: DecodedBatch) -> Tensor:
        view = make_view(self.backend, recipe, parameters, batch, self.threads, self.dtype)
        return copy_to(view, self.device) if self.backend == "numba" else view  # other backends make it on the device

    def _match(self, drawn: Sequence[ViewParameters]) -> dict[Direction, Matches[Tensor]]:
        matches = match_views(drawn, self.grids, self.directions, self.mirror_flips)
        return {direction: kept.map(self._to_device) for direction, kept in matches.items()}

    def _to_device(self, values: np.ndarray) -> Tensor:
        return copy_to(torch.from_numpy(values), self.device)


def copy_to(tensor: Tensor, device: torch.device) -> Tensor:
    """Copies a tensor from the CPU to ``device`` without waiting for the copy."""
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)
