"""A batch on its way from a worker to the training device."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vicregl_fast.augment.normalisation import normalise_rows
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.views import copy_to
from vicregl_fast.geometry.directions import Direction
from vicregl_fast.geometry.matches import Matches


class ByteBatch(NamedTuple):
    """A ``ViewBatch`` on the CPU whose views are bytes, a quarter of the memory of float32 to send.

    Attributes:
        indices: sample indices in the store, int64 [b].
        views: one tensor uint8 [b, S, S, 3] for each view.
        labels: int64 [b], or None where the store has none.
        matches: the location matches of every direction that the loss compares.
        centre_crops: uint8 [b, S, S, 3], or None.
    """

    indices: np.ndarray
    views: tuple[Tensor, ...]
    labels: Tensor | None
    matches: dict[Direction, Matches[Tensor]]
    centre_crops: Tensor | None


def to_device(batch: ByteBatch, device: torch.device, dtype: torch.dtype) -> ViewBatch:
    """Copies a batch to ``device``, and makes normalised views of ``dtype``, [b, 3, S, S], of its bytes."""

    def moved(tensor: Tensor) -> Tensor:
        return copy_to(tensor, device)

    return ViewBatch(
        batch.indices,
        tuple(normalise_rows(moved(view)).to(dtype) for view in batch.views),
        None if batch.labels is None else moved(batch.labels),
        {direction: kept.map(moved) for direction, kept in batch.matches.items()},
        None if batch.centre_crops is None else normalise_rows(moved(batch.centre_crops)).to(dtype),
    )
