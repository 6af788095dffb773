"""Crop and resize: a table of weights, then both passes over a tile of the view in one kernel.

Shapes: n sample, a axis (0 vertical, 1 horizontal), k source pixel of a window, p position along the resized axis.
"""

import numpy as np
from numba import cuda

from vicregl_fast.augment.cuda_backend.colour import grey_before_contrast
from vicregl_fast.augment.cuda_backend.sums import PLACE, weigh_pixels
from vicregl_fast.augment.scalars import CUBIC_SUPPORT, HALF, ZERO, cubic, to_level, window

ROWS, COLUMNS = 8, 32  # of a tile, at most: a thread for each pixel
_THREADS = ROWS * COLUMNS
CHUNK = 128  # source columns of which a block holds the vertical pass at a time
_SQUEEZED = ROWS * CHUNK * 3
GREY_UNITS = np.float32(256)  # of a level: grey is summed in whole numbers, so that the order of additions is all one


def most_taps(longest: int, size: int) -> int:
    """Source pixels that a resized pixel is made of, at most, where crops are up to ``longest`` pixels long."""
    return 2 * int(CUBIC_SUPPORT) * -(-max(longest, size) // size) + 2


@cuda.jit
def fill_weights(samples_n, firsts_nap, counts_nap, weights_nakp, grey_totals_n):
    """Fills the windows and weights of every position, a thread each, and begins the grey totals at 0."""
    n, axis = cuda.blockIdx.z, cuda.blockIdx.y
    position = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    size = firsts_nap.shape[2]
    if position >= size:
        return
    length = np.float32(samples_n[n]["height"] if axis == 0 else samples_n[n]["width"])
    first, count, centre, step = window(np.float32(position), length, np.float32(size))
    total = ZERO
    for k in range(count):
        total += cubic((np.float32(first + k) - centre + HALF) * step)
    for k in range(count):
        weights_nakp[n, axis, k, position] = cubic((np.float32(first + k) - centre + HALF) * step) / total
    firsts_nap[n, axis, position] = first
    counts_nap[n, axis, position] = count
    if axis == 0 and position == 0:
        grey_totals_n[n] = 0


@cuda.jit(device=True, inline="always")
def _block_sum(value):
    """The sum over the block's threads, whose number is a power of two; every thread gets it."""
    values = cuda.shared.array(_THREADS, np.float32)
    thread = cuda.threadIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    values[thread] = value
    half = cuda.blockDim.x * cuda.blockDim.y // 2
    while half > 0:
        cuda.syncthreads()
        if thread < half:
            values[thread] += values[thread + half]
        half //= 2
    cuda.syncthreads()
    return values[0]


@cuda.jit(device=True, inline="always")
def _squeeze(packed, source, stride, low, high, weights_k, taps, squeezed):
    """Makes the source columns ``low`` to ``high`` of the thread's row: the vertical pass."""
    x = low + cuda.threadIdx.x
    while x < high:
        red, green, blue = weigh_pixels(packed, PLACE(source + 3 * x), stride, weights_k, taps)
        place = 3 * (cuda.threadIdx.y * CHUNK + x - low)
        squeezed[place], squeezed[place + 1], squeezed[place + 2] = to_level(red), to_level(green), to_level(blue)
        x += cuda.blockDim.x


@cuda.jit(fastmath=True)
def resize(samples_n, packed, firsts_nap, counts_nap, weights_nakp, levels_nyxc, grey_totals_n):
    """Makes the flipped, resized view of bytes, and adds up its grey before contrast.

    A block makes a tile of blockDim.y rows and blockDim.x columns. It squeezes the source columns under the tile
    vertically into shared memory, CHUNK columns at a time since crops may be of any width, and every thread adds
    what its pixel is made of.

    Args:
        samples_n: records of SAMPLE.
        packed: bytes of all images.
        firsts_nap, counts_nap, weights_nakp: those of ``fill_weights``.
        levels_nyxc: uint8, the result.
        grey_totals_n: int64, in 1/GREY_UNITS of a level.
    """
    squeezed = cuda.shared.array(_SQUEEZED, np.float32)
    n, tx, ty = cuda.blockIdx.z, cuda.threadIdx.x, cuda.threadIdx.y
    sample, size = samples_n[n], levels_nyxc.shape[1]
    left, top = cuda.blockIdx.x * cuda.blockDim.x, cuda.blockIdx.y * cuda.blockDim.y
    # Threads beyond the border repeat the last row or column, because they must meet the others at barriers.
    right = min(left + cuda.blockDim.x, size) - 1
    row, column = min(top + ty, size - 1), min(left + tx, right)
    first, count = firsts_nap[n, 1, column], counts_nap[n, 1, column]
    source = sample["start"] + np.int64(firsts_nap[n, 0, row]) * sample["stride"]
    stride, taps = PLACE(sample["stride"]), PLACE(counts_nap[n, 0, row])

    red = green = blue = ZERO
    low, end = firsts_nap[n, 1, left], firsts_nap[n, 1, right] + counts_nap[n, 1, right]
    while low < end:
        high = min(low + CHUNK, end)
        _squeeze(packed, source, stride, low, high, weights_nakp[n, 0, :, row], taps, squeezed)
        cuda.syncthreads()
        begin, stop = max(first, low), min(first + count, high)
        if begin < stop:
            place, weights_k = PLACE(3 * (ty * CHUNK + begin - low)), weights_nakp[n, 1, begin - first :, column]
            r, g, b = weigh_pixels(squeezed, place, PLACE(3), weights_k, PLACE(stop - begin))
            red, green, blue = red + r, green + g, blue + b
        cuda.syncthreads()
        low = high

    red, green, blue = to_level(red), to_level(green), to_level(blue)
    own = left + tx < size and top + ty < size
    if own:
        level_c = levels_nyxc[n, row, size - 1 - column if sample["flip"] else column]
        level_c[0], level_c[1], level_c[2] = np.uint8(red), np.uint8(green), np.uint8(blue)
    if sample["jitter"]:
        total = _block_sum(grey_before_contrast(sample, red, green, blue) if own else ZERO)
        if tx == 0 and ty == 0:
            cuda.atomic.add(grey_totals_n, n, np.int64(total * GREY_UNITS))
