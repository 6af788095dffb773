"""A batch on its way from a worker to the training device."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vicregl_fast.augment.reference import MEAN, STD
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.losses.directions import Direction


class ByteBatch(NamedTuple):
    """A ``ViewBatch`` whose views are bytes still, uint8 [b, S, S, 3]: a quarter of what floats would be to send."""

    indices: np.ndarray
    views: tuple[Tensor, ...]
    labels: Tensor | None
    matches: dict[Direction, tuple[Tensor, Tensor]]
    whole: Tensor | None


def to_device(batch: ByteBatch, device: torch.device, dtype: torch.dtype) -> ViewBatch:
    """Copies a batch and normalises its views, which become ``dtype``."""

    def moved(tensor: Tensor) -> Tensor:
        return tensor.to(device, non_blocking=True)

    return ViewBatch(
        batch.indices,
        tuple(normalise(moved(view)).to(dtype) for view in batch.views),
        None if batch.labels is None else moved(batch.labels),
        {direction: (moved(a), moved(b)) for direction, (a, b) in batch.matches.items()},
        None if batch.whole is None else normalise(moved(batch.whole)).to(dtype),
    )


def normalise(pixels: Tensor) -> Tensor:
    """uint8 [b, S, S, 3] to float32 [b, 3, S, S] in channels_last, by ImageNet's statistics."""
    b, size = pixels.shape[:2]
    # Whole rows at a time: torch would be slow at broadcasting along three channels.
    scale, shift = _row_of_statistics(size, pixels.device)
    rows = pixels.view(b * size, size * 3).float().mul_(scale).add_(shift)
    return rows.view(b, size, size, 3).permute(0, 3, 1, 2)


@lru_cache(maxsize=8)
def _row_of_statistics(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Scale and shift for a row of pixels; made once, since copying them anew would wait for the device every time."""
    scale = torch.tensor([1 / (255 * std) for std in STD], device=device)
    shift = torch.tensor([-mean / std for mean, std in zip(MEAN, STD, strict=True)], device=device)
    return scale.repeat(size), shift.repeat(size)
