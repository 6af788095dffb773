"""From decoded images to the views of one training step, with the matches of their cells."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vicregl_fast.augment.backends import Backend, make_view
from vicregl_fast.augment.centre import centre_parameters
from vicregl_fast.augment.decoded_batch import DecodedBatch
from vicregl_fast.augment.parameters import ViewParameters, draw_parameters
from vicregl_fast.augment.recipe import ViewRecipe
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.matches import match_views
from vicregl_fast.geometry.directions import Direction
from vicregl_fast.geometry.matches import Matches


@dataclass(frozen=True, kw_only=True)
class ViewMaker:
    """A pure function from (seed, epoch, sample) to views and matches.

    Attributes:
        recipes: one for each view.
        grids: cells along a side of each view's feature map.
        directions: which location matches the loss needs.
        mirror_flips: whether the positions of a flipped view are mirrored (they are, but for the ``official`` preset).
        seed: of the run.
        device: where the views are needed.
        backend: what makes them; ``numba`` on the CPU, the others on ``device``.
        threads: of the ``numba`` backend.
        dtype: of the views.
        with_centre_crops: also make the centre crop of every image, for the online classifier's validation.
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
    with_centre_crops: bool = False

    def make(self, batch: DecodedBatch, epoch: int) -> ViewBatch:
        """Crops, distorts and matches one batch."""
        drawn = self.draw(batch.indices, batch.heights, batch.widths, epoch)
        if self.backend != "numba":
            batch = batch.to(self.device)
        views = tuple(self._view(*each, batch) for each in zip(self.recipes, drawn, strict=True))
        centre_crops = None
        if self.with_centre_crops:
            centre_crops = self._view(self.recipes[0], centre_parameters(batch.heights, batch.widths), batch)
        labels = None if (batch.labels < 0).any() else self._to_device(batch.labels)
        return ViewBatch(batch.indices, views, labels, self._match(drawn), centre_crops)

    def draw(self, indices: np.ndarray, heights: np.ndarray, widths: np.ndarray, epoch: int) -> list[ViewParameters]:
        """What is done to every view of the samples int64 [b], whose images have these sizes in pixels."""
        return [
            draw_parameters(recipe, self.seed, epoch, view, indices, heights, widths)
            for view, recipe in enumerate(self.recipes)
        ]

    def _view(self, recipe: ViewRecipe, parameters: ViewParameters, batch: DecodedBatch) -> Tensor:
        view = make_view(self.backend, recipe, parameters, batch, self.threads, self.dtype)
        return _copy(view, self.device) if self.backend == "numba" else view  # the others make it where it is needed

    def _match(self, drawn: Sequence[ViewParameters]) -> dict[Direction, Matches[Tensor]]:
        matches = match_views(drawn, self.grids, self.directions, self.mirror_flips)
        return {direction: kept.map(self._to_device) for direction, kept in matches.items()}

    def _to_device(self, values: np.ndarray) -> Tensor:
        return _copy(torch.from_numpy(values), self.device)


def _copy(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on ``device``, without waiting for the copy."""
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)
