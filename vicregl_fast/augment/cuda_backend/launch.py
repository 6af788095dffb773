"""The three kernels one after the other, on arrays of a GPU or, in Numba's simulator, of NumPy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vicregl_fast.augment.cuda_backend.finish import RUN, SIDE
from vicregl_fast.augment.cuda_backend.resize import COLUMNS, ROWS, fill_weights, most_taps, resize


@dataclass(frozen=True)
class Tiles:
    """Pixels of the view that a block makes: powers of two, ``side`` a multiple of RUN."""

    rows: int = ROWS  # of a resized tile
    columns: int = COLUMNS
    side: int = SIDE  # of a finished tile


def launch(
    finish: Any,
    samples_n: Any,
    packed: Any,
    longest: int,
    threshold: float,
    views_nyxc: Any,
    empty: Callable[[tuple[int, ...], str], Any],
    stream: Any = 0,
    tiles: Tiles = Tiles(),
) -> None:
    """Makes the views.

    Args:
        finish: a ``finish_kernel`` for the type of the views.
        samples_n: records of SAMPLE.
        packed: the images' bytes.
        longest: the longest side of a crop.
        threshold: of solarising.
        views_nyxc: [n, size, size, 3], the result.
        empty: gives arrays of a shape and of NumPy's name for a type; they are in use until ``stream`` is done.
        stream: Numba's, on which the kernels run.
        tiles: the blocks' shape.
    """
    count, size = views_nyxc.shape[:2]
    firsts_nap, counts_nap = empty((count, 2, size), "int32"), empty((count, 2, size), "int32")
    weights_nakp = empty((count, 2, most_taps(longest, size), size), "float32")
    levels_nyxc, grey_totals_n = empty((count, size, size, 3), "uint8"), empty((count,), "int64")
    windows = firsts_nap, counts_nap, weights_nakp

    fill_weights[(_blocks(size, tiles.columns), 2, count), tiles.columns, stream](samples_n, *windows, grey_totals_n)
    grid, block = (_blocks(size, tiles.columns), _blocks(size, tiles.rows), count), (tiles.columns, tiles.rows)
    resize[grid, block, stream](samples_n, packed, *windows, levels_nyxc, grey_totals_n)
    grid, block = (_blocks(size, tiles.side), _blocks(size, tiles.side), count), (tiles.side, tiles.side // RUN)
    finish[grid, block, stream](samples_n, levels_nyxc, grey_totals_n, np.float32(threshold), views_nyxc)


def _blocks(size: int, side: int) -> int:
    return -(-size // side)
