"""Cuts a box from an image and resizes it to a square, antialiased and bicubic: vertically, then horizontally.

Both passes sum rows of bytes, which is what vectorises: the first leaves its result transposed, so that the second has
rows to sum, too. So the resized view lies transposed: planes_cxy[c, x, y].
"""

import numpy as np
from numba import njit

from vicregl_fast.augment.scalars import CUBIC_SUPPORT, cubic, to_level, window

TAPS = 2  # windows are filled up to a multiple of it with weights of 0
TILE = 8  # resized rows transposed at a time: their bytes of a column make one uint64
_BYTE_BITS, _TWO_BYTES_BITS, _WORD_BITS = np.uint32(8), np.uint32(16), np.uint64(32)


def most_taps(length: int, size: int) -> int:
    """Source pixels that a resized pixel is made of, at most, for boxes of up to ``length`` pixels, filled up."""
    taps = int(2 * CUBIC_SUPPORT * max(1.0, length / size)) + 2
    return -(-taps // TAPS) * TAPS


@njit(nogil=True, cache=True)
def crop_resize(packed, offset, image_width, box_4, flip, scratch, planes_cxy):
    """Fills ``planes_cxy`` [3, size, size] with whole numbers in [0, 255], float32; no pixel outside the box is read.

    Args:
        packed: bytes; the image's are height x width x 3 from ``offset`` on.
        image_width: of the whole image.
        box_4: top, left, height, width.
        flip: whether the view is mirrored.
        scratch: what ``resize_scratch`` gives, of one thread.
        planes_cxy: the view, transposed.
    """
    top, left, height, width = box_4[0], box_4[1], box_4[2], box_4[3]
    columns_xct, tile_ryc, column_x, sums, weights = scratch
    start, size = offset + (np.int64(top) * image_width + left) * 3, planes_cxy.shape[1]
    length = width * 3
    for low in range(0, size, TILE):
        for row in range(min(TILE, size - low)):
            first, taps = _weigh(low + row, height, size, weights)
            _sum_rows(packed, start, image_width * 3, first, taps, height, weights, sums[:length])
            _round(sums[:length], tile_ryc[row, :length])
        _transpose(tile_ryc, column_x[:length], columns_xct[:, low // TILE])
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
    """Each thread's room for what lies between the passes; the first axis is the thread."""
    width, longest = 3 * int(boxes_n4[:, 3].max()), int(boxes_n4[:, 2:].max())
    return (
        np.empty((threads, width, -(-size // TILE)), np.uint64),  # resized vertically: a number for TILE rows
        np.empty((threads, TILE, width), np.uint8),
        np.empty((threads, width), np.uint64),
        np.empty((threads, max(width, size)), np.float32),
        np.empty((threads, most_taps(longest, size)), np.float32),
    )


@njit(nogil=True, cache=True)
def _weigh(position, length, size, weights):
    """Writes a resized pixel's weights, filled up with 0; gives the first source pixel, and how many weights."""
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
    """The weighed sum of the rows ``first`` and on, of ``rows`` that lie ``stride`` apart from ``start`` on."""
    length = len(sums)
    for tap in range(0, taps, TAPS):
        a = start + (first + tap) * stride
        b = start + min(first + tap + 1, rows - 1) * stride  # where there is none behind the last, its weight is 0
        _add(packed[a : a + length], packed[b : b + length], weights[tap], weights[tap + 1], sums, tap > 0)


@njit(nogil=True, fastmath=True, cache=True)
def _add(a, b, weight_a, weight_b, sums, onto):
    """Two rows of bytes, weighed, into ``sums``, or ``onto`` what is there."""
    if onto:
        for i in range(len(sums)):
            sums[i] += weight_a * np.float32(a[i]) + weight_b * np.float32(b[i])
    else:
        for i in range(len(sums)):
            sums[i] = weight_a * np.float32(a[i]) + weight_b * np.float32(b[i])


@njit(nogil=True, fastmath=True, cache=True)
def _round(sums, levels):
    for i in range(len(sums)):
        levels[i] = to_level(sums[i])


@njit(nogil=True, cache=True)
def _transpose(tile_ryc, column_x, columns_xc):
    """The TILE bytes of every column as one number, the first row's lowest; by way of ``column_x``, to vectorise."""
    a, b, c, d = tile_ryc[0], tile_ryc[1], tile_ryc[2], tile_ryc[3]
    e, f, g, h = tile_ryc[4], tile_ryc[5], tile_ryc[6], tile_ryc[7]
    for i in range(len(column_x)):
        column_x[i] = np.uint64(_word(a[i], b[i], c[i], d[i])) | np.uint64(_word(e[i], f[i], g[i], h[i])) << _WORD_BITS
    for i in range(len(column_x)):
        columns_xc[i] = column_x[i]


@njit(inline="always")
def _word(a, b, c, d):
    low = np.uint32(a) | np.uint32(b) << _BYTE_BITS
    return low | (np.uint32(c) | np.uint32(d) << _BYTE_BITS) << _TWO_BYTES_BITS
