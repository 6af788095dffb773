"""From decoded images to the views of one training step, with the matches of their cells."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vicregl_fast.augment.backends import Backend, make_view
from vicregl_fast.augment.centre import centre_parameters
from vicregl_fast.augment.parameters import ViewParameters, draw_parameters
from vicregl_fast.augment.recipe import ViewRecipe
from vicregl_fast.data.batches import DecodedBatch, ViewBatch
from vicregl_fast.geometry.matching import match_cells
from vicregl_fast.losses.directions import Direction


@dataclass(frozen=True)
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
        whole: also give the centre crop of every image, for the online classifier's validation.
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
    whole: bool = False

    def make(self, batch: DecodedBatch, epoch: int) -> ViewBatch:
        """Crops, distorts and matches one batch."""
        drawn = [
            draw_parameters(recipe, self.seed, epoch, view, batch.indices, batch.heights, batch.widths)
            for view, recipe in enumerate(self.recipes)
        ]
        if self.backend != "numba":
            batch = batch.to(self.device)
        views = tuple(self._view(*each, batch) for each in zip(self.recipes, drawn, strict=True))
        whole = None
        if self.whole:
            whole = self._view(self.recipes[0], centre_parameters(batch.heights, batch.widths), batch)
        labels = None if (batch.labels < 0).any() else self._to_device(batch.labels)
        return ViewBatch(batch.indices, views, labels, self._match(drawn), whole)

    def _view(self, recipe: ViewRecipe, parameters: ViewParameters, batch: DecodedBatch) -> Tensor:
        view = make_view(self.backend, recipe, parameters, batch, self.threads, self.dtype)
        return view if view.device == self.device else _copy(view, self.device)

    def _match(self, drawn: Sequence[ViewParameters]) -> dict[Direction, tuple[Tensor, Tensor]]:
        matches = {}
        for direction in self.directions:
            a, b = drawn[direction.query], drawn[direction.neighbour]
            grid_a, grid_b = self.grids[direction.query], self.grids[direction.neighbour]
            flips_a = a.flips & self.mirror_flips
            flips_b = b.flips & self.mirror_flips
            gamma = grid_a**2 if direction.gamma is None else direction.gamma
            queries, neighbours = match_cells(a.boxes, flips_a, grid_a, b.boxes, flips_b, grid_b, gamma)
            matches[direction] = self._to_device(queries), self._to_device(neighbours)
        return matches

    def _to_device(self, values: np.ndarray) -> Tensor:
        return _copy(torch.from_numpy(values), self.device)


def _copy(tensor: Tensor, device: torch.device) -> Tensor:
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)
