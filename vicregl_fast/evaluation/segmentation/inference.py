"""Segments an image, whole or through a sliding window.

Shape letters: b windows, k logits, h×w cells of a window's map, H×W pixels of the image.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from vicregl_fast.evaluation.loading import chunks
from vicregl_fast.evaluation.segmentation.config import Sides
from vicregl_fast.evaluation.segmentation.features import SegmentationFeatures
from vicregl_fast.evaluation.segmentation.linear_head import resize_logits

WINDOWS_AT_ONCE = 8

CellClassifier = Callable[[Tensor], Tensor]
"""Gives logits, or other scores of classes, [b, k, h, w], of maps float32 [b, C, h, w]; a ``LinearHead`` does."""
Place = tuple[slice, slice]
"""Rows and columns of an image's pixels."""


def segment(
    features: SegmentationFeatures,
    heads: Sequence[CellClassifier],
    pixels: Tensor,
    window: Sides | None = None,
    stride: int = 1,
) -> Iterator[Tensor]:
    """Yields each head's logits float32 [1, k, H, W] of an image, uint8 [3, H, W].

    The backbone sees the image once for all heads. Logits of the image's size, many times as large as those of cells,
    are made for one head at a time.

    Args:
        features: of images, or of windows.
        heads: classify their cells.
        pixels: the image.
        window: height and width of the window; None sees the image whole.
        stride: pixels by which the window moves. At the right and at the bottom it is shifted inside. Where windows
            overlap, their logits are averaged.

    Raises:
        UserError: the backbone accepts no images of this size.
    """
    size: Sides = pixels.shape[1], pixels.shape[2]
    places = window_places(size, window or size, stride)
    of_heads: list[list[Tensor]] = [[] for _ in heads]
    for batch in chunks(places, WINDOWS_AT_ONCE):
        maps = features(torch.stack([pixels[:, rows, columns] for rows, columns in batch]))
        for kept, head in zip(of_heads, heads, strict=True):
            kept += head(maps).split(1)
    seen = pixels[:, *places[0]].shape
    for at_cells in of_heads:
        yield _averaged(at_cells, features.covered(seen[1], seen[2]), places, size)


def _averaged(at_cells: Sequence[Tensor], covered: Sides, places: Sequence[Place], size: Sides) -> Tensor:
    """One head's logits [1, k, H, W] of those of each window's cells, [1, k, h, w], which cover ``covered`` pixels."""

    def at_pixels(number: int) -> Tensor:
        rows, columns = places[number]
        height, width = rows.stop - rows.start, columns.stop - columns.start
        return resize_logits(at_cells[number], covered)[:, :, :height, :width]

    if len(places) == 1:
        return at_pixels(0)
    total = at_cells[0].new_zeros(1, at_cells[0].shape[1], *size)
    count = at_cells[0].new_zeros(size)
    for number, (rows, columns) in enumerate(places):
        total[:, :, rows, columns] += at_pixels(number)
        count[rows, columns] += 1
    return total.div_(count)


def window_places(size: Sides, window: Sides, stride: int) -> list[Place]:
    """Where the window lies in an image, row by row; all of an image that is not larger."""
    height, width = (min(side, seen) for side, seen in zip(size, window, strict=True))
    return [
        (slice(top, top + height), slice(left, left + width))
        for top in window_starts(size[0], height, stride)
        for left in window_starts(size[1], width, stride)
    ]


def window_starts(side: int, window: int, stride: int) -> list[int]:
    """Where windows begin along a side: every ``stride`` pixels, the last one so that it ends with the side."""
    steps = -(-max(side - window, 0) // stride)
    return [max(0, min(step * stride, side - window)) for step in range(steps + 1)]
