"""Segments an image, whole or through a sliding window.

Shape letters: k logits, h×w pixels of a window, H×W pixels of the image.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vicregl_fast.evaluation.segmentation.config import Sides
from vicregl_fast.evaluation.segmentation.features import SegmentationFeatures
from vicregl_fast.evaluation.segmentation.linear_head import resize_logits

WINDOWS_AT_ONCE = 8

Logits = Callable[[Tensor], Tensor]
"""Gives logits float32 [b, k, H, W] of pixels uint8 [b, 3, H, W]."""
CellClassifier = Callable[[Tensor], Tensor]
"""Gives logits, or other scores of classes, [b, classes, h, w], of maps float32 [b, C, h, w]; a ``LinearHead`` does."""


def logits_of(features: SegmentationFeatures, heads: Sequence[CellClassifier]) -> Logits:
    """The logits of all heads, one head's after another's along the channels, at the size of the images."""

    def logits(pixels: Tensor) -> Tensor:
        height, width = pixels.shape[2:]
        maps = features(pixels)
        at_cells = torch.cat([head(maps) for head in heads], 1)
        return resize_logits(at_cells, features.covered(height, width))[:, :, :height, :width]

    return logits


def segment(logits: Logits, pixels: Tensor, window: Sides | None, stride: int) -> Tensor:
    """Logits float32 [1, k, H, W] of an image, uint8 [3, H, W].

    Args:
        logits: of images, or of windows.
        pixels: the image.
        window: height and width of the window; None sees the image whole.
        stride: pixels by which the window moves. At the right and at the bottom it is shifted inside. Where windows
            overlap, their logits are averaged.
    """
    if window is None:
        return logits(pixels[None])
    size = pixels.shape[1:]
    places = [
        (slice(top, top + window[0]), slice(left, left + window[1]))
        for top in window_starts(size[0], window[0], stride)
        for left in window_starts(size[1], window[1], stride)
    ]
    total: Tensor | None = None
    for first in range(0, len(places), WINDOWS_AT_ONCE):
        batch = places[first : first + WINDOWS_AT_ONCE]
        found = logits(torch.stack([pixels[:, rows, columns] for rows, columns in batch]))
        if total is None:
            total, count = found.new_zeros(1, found.shape[1], *size), found.new_zeros(size)
        for (rows, columns), each in zip(batch, found, strict=True):
            total[0, :, rows, columns] += each
            count[rows, columns] += 1
    assert total is not None
    return total / count


def window_starts(side: int, window: int, stride: int) -> list[int]:
    """Where windows begin along a side: every ``stride`` pixels, the last one so that it ends with the side."""
    steps = -(-max(side - window, 0) // stride)
    return [max(0, min(step * stride, side - window)) for step in range(steps + 1)]
