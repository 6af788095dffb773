"""Runs the three kernels one after the other, on arrays of a GPU or, in Numba's simulator, of NumPy.

Shape letters: n samples, a axes (0 vertical, 1 horizontal), k source pixels of a window, p positions along the resized
axis, y rows, x columns, c channels, j values of a row, 3 * column + channel.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vicregl_fast.augment.cuda_backend.finish import RUN, SIDE
from vicregl_fast.augment.cuda_backend.resize import COLUMNS, ROWS, fill_weights, most_taps, resize


@dataclass(frozen=True)
class Tiles:
    """Sizes, in pixels of the view, of the tiles that blocks of threads make; the defaults are the largest.

    Attributes:
        rows, columns: of a resized tile.
        side: of a finished tile, which is square; a multiple of RUN.
    """

    rows: int = ROWS
    columns: int = COLUMNS
    side: int = SIDE


def launch(
    finish: Any,
    samples_n: Any,
    packed: Any,
    longest: int,
    threshold: float,
    views_nyj: Any,
    empty: Callable[[tuple[int, ...], str], Any],
    stream: Any = 0,
    tiles: Tiles = Tiles(),
) -> None:
    """Makes the views.

    Args:
        finish: the kernel from ``finish_kernel`` for the dtype of the views.
        samples_n: records of SAMPLE [n].
        packed: uint8 [bytes], of all images.
        longest: the longest side of all crops, in pixels.
        threshold: level of solarising.
        views_nyj: float32, float16, or int16 for the bits of bfloat16, [n, size, 3 * size]; the result.
        empty: function from a shape and a dtype's name to a new array, which must last until ``stream`` is done.
        stream: Numba's stream on which the kernels run.
        tiles: the sizes of the tiles.
    """
    count, size = views_nyj.shape[:2]
    firsts_nap, counts_nap = empty((count, 2, size), "int32"), empty((count, 2, size), "int32")
    weights_nakp = empty((count, 2, most_taps(longest, size), size), "float32")
    levels_nyxc, grey_totals_n = empty((count, size, size, 3), "uint8"), empty((count,), "int64")
    windows = firsts_nap, counts_nap, weights_nakp

    fill_weights[(_blocks(size, tiles.columns), 2, count), tiles.columns, stream](samples_n, *windows, grey_totals_n)
    grid, block = (_blocks(size, tiles.columns), _blocks(size, tiles.rows), count), (tiles.columns, tiles.rows)
    resize[grid, block, stream](samples_n, packed, *windows, levels_nyxc, grey_totals_n)
    grid, block = (_blocks(size, tiles.side), _blocks(size, tiles.side), count), (tiles.side, tiles.side // RUN)
    finish[grid, block, stream](samples_n, levels_nyxc, grey_totals_n, np.float32(threshold), views_nyj)


def _blocks(size: int, side: int) -> int:
    return -(-size // side)
