"""Cuts a box from an image and resizes it to a square, antialiased and bicubic: vertically, then horizontally.

Both passes sum rows of bytes, since this vectorises. The first pass leaves its result transposed, so that the second
can sum rows, too. The resized view therefore lies transposed: planes_cxy[c, x, y].

Shape letters: c channels, x columns, y rows of the view, t tiles of TILE such rows, r rows of a tile. The letters xc
together are one axis, 3 * column + channel.
"""

import numpy as np
from numba import njit

from vicregl_fast.augment.scalars import CUBIC_SUPPORT, cubic, to_level, window

TAPS = 2  # rows added at a time: windows are filled up to a multiple of it with weights of 0
TILE = 8  # resized rows transposed at a time: their bytes in a column make one uint64
_BYTE_BITS, _TWO_BYTES_BITS, _WORD_BITS = np.uint32(8), np.uint32(16), np.uint64(32)


def most_taps(length: int, size: int) -> int:
    """Returns how many source pixels at most make a resized one, for boxes of up to ``length``; a multiple of TAPS."""
    taps = int(2 * CUBIC_SUPPORT * max(1.0, length / size)) + 2
    return -(-taps // TAPS) * TAPS


@njit(nogil=True, cache=True)
def crop_resize(packed, offset, image_width, box_4, flip, scratch, planes_cxy):
    """Cuts a box from one image, resizes it, and mirrors it if wanted. No pixel outside the box is read.

    Args:
        packed: uint8 [bytes], of all images.
        offset: int64, where the image begins in ``packed``.
        image_width: int64, of the whole image, in pixels.
        box_4: int32 [4], (top, left, height, width) in pixels.
        flip: bool, whether the view is mirrored.
        scratch: one thread's part of ``resize_scratch``.
        planes_cxy: float32 [3, size, size], the result: whole numbers in [0, 255].
    """
    top, left, height, width = box_4[0], box_4[1], box_4[2], box_4[3]
    columns_xct, tile_rxc, column_xc, sums, weights = scratch
    start, size = offset + (np.int64(top) * image_width + left) * 3, planes_cxy.shape[1]
    length = width * 3
    for low in range(0, size, TILE):
        for row in range(min(TILE, size - low)):
            first, taps = _weigh(low + row, height, size, weights)
            _sum_rows(packed, start, image_width * 3, first, taps, height, weights, sums[:length])
            _round(sums[:length], tile_rxc[row, :length])
        _transpose(tile_rxc, column_xc[:length], columns_xct[:, low // TILE])
    rows_xcy = columns_xct.view(np.uint8)
    stride = rows_xcy.shape[1]
    rows = rows_xcy.reshape(-1)
    for position in range(size):
        first, taps = _weigh(position, width, size, weights)
        column = size - 1 - position if flip else position
        for channel in range(3):
            _sum_rows(rows, channel * stride, 3 * stride, first, taps, width, weights, sums[:size])
            _round(sums[:size], planes_cxy[channel, column])


def resize_scratch(threads: int, size: int, boxes_n4: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns the scratch of all threads for boxes int32 [n, 4]: columns_xct, tile_rxc, column_xc, sums, weights.

    The first axis of each array is the thread.
    """
    width, longest = 3 * int(boxes_n4[:, 3].max()), int(boxes_n4[:, 2:].max())
    return (
        np.empty((threads, width, -(-size // TILE)), np.uint64),  # each number holds the bytes of TILE rows
        np.empty((threads, TILE, width), np.uint8),
        np.empty((threads, width), np.uint64),
        np.empty((threads, max(width, size)), np.float32),
        np.empty((threads, most_taps(longest, size)), np.float32),
    )


@njit(nogil=True, cache=True)
def _weigh(position, length, size, weights):
    """Writes the weights, float32, of a resized pixel; the arguments are the integers of ``scalars.window``.

    Returns:
        (first, taps): the first source pixel, and how many weights there are, with the zeros at the end.
    """
    first, count, centre, step = window(position, length, size)
    total = 0.0
    for k in range(count):
        total += cubic((first + k - centre + 0.5) * step)
    for k in range(count):
        weights[k] = cubic((first + k - centre + 0.5) * step) / total
    taps = (count + TAPS - 1) // TAPS * TAPS
    weights[count:taps] = 0
    return first, taps


@njit(nogil=True, cache=True)
def _sum_rows(packed, start, stride, first, taps, rows, weights, sums):
    """Writes the weighted sum of neighbouring rows of bytes.

    Args:
        packed: uint8 [bytes]; row i begins at ``start + i * stride``.
        start, stride: integers, in bytes.
        first, taps: integers, number of the first row and how many weights there are.
        rows: integer, how many rows there are to read.
        weights: float32 [taps or more].
        sums: float32 [bytes of a row], the result.
    """
    length = len(sums)
    for tap in range(0, taps, TAPS):
        a = start + (first + tap) * stride
        b = start + min(first + tap + 1, rows - 1) * stride  # behind the last row, the weight is 0
        _add(packed[a : a + length], packed[b : b + length], weights[tap], weights[tap + 1], sums, tap > 0)


@njit(nogil=True, fastmath=True, cache=True)
def _add(a, b, weight_a, weight_b, sums, onto):
    """Weights two rows, uint8 [length], and writes their sum to ``sums``, float32, or adds it if ``onto`` is true."""
    if onto:
        for i in range(len(sums)):
            sums[i] += weight_a * np.float32(a[i]) + weight_b * np.float32(b[i])
    else:
        for i in range(len(sums)):
            sums[i] = weight_a * np.float32(a[i]) + weight_b * np.float32(b[i])


@njit(nogil=True, fastmath=True, cache=True)
def _round(sums, levels):
    """Rounds sums, float32 [length], to levels, uint8 or float32."""
    for i in range(len(sums)):
        levels[i] = to_level(sums[i])


@njit(nogil=True, cache=True)
def _transpose(tile_rxc, column_xc, columns_xc):
    """Writes the TILE bytes, uint8, of every column as one uint64, the first row's byte lowest.

    ``columns_xc`` has a stride; to vectorise, the numbers are formed in ``column_xc`` and then copied.
    """
    a, b, c, d = tile_rxc[0], tile_rxc[1], tile_rxc[2], tile_rxc[3]
    e, f, g, h = tile_rxc[4], tile_rxc[5], tile_rxc[6], tile_rxc[7]
    for i in range(len(column_xc)):
        column_xc[i] = np.uint64(_word(a[i], b[i], c[i], d[i])) | np.uint64(_word(e[i], f[i], g[i], h[i])) << _WORD_BITS
    for i in range(len(column_xc)):
        columns_xc[i] = column_xc[i]


@njit(inline="always")
def _word(a, b, c, d):
    """Joins four bytes to a uint32, ``a`` lowest."""
    low = np.uint32(a) | np.uint32(b) << _BYTE_BITS
    return low | (np.uint32(c) | np.uint32(d) << _BYTE_BITS) << _TWO_BYTES_BITS
