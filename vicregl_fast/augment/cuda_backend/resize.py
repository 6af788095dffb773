"""Crop and resize: a table of weights, then both passes over a tile of the view in one kernel.

Shape letters: n samples, a axes (0 vertical, 1 horizontal), k source pixels of a window, p positions along the resized
axis, y rows, x columns, c channels.
"""

import numpy as np
from numba import config, cuda

from vicregl_fast.augment.cuda_backend.colour import grey_before_contrast
from vicregl_fast.augment.cuda_backend.sums import PLACE, weigh_pixels
from vicregl_fast.augment.scalars import CUBIC_SUPPORT, HALF, ZERO, cubic, to_level, window

ROWS, COLUMNS = 8, 32  # of the largest tile; each of its pixels has a thread
_THREADS = ROWS * COLUMNS
CHUNK = 128  # source columns whose vertical pass a block keeps in shared memory at a time
_SQUEEZED = ROWS * CHUNK * 3
_REGISTERS = {} if config.ENABLE_CUDASIM else {"max_registers": 64}  # type: ignore[attr-defined]
"""Of a thread at most, so that four blocks fit a multiprocessor and not three; nothing is spilt for that. Numba's
simulator has no registers, and does not know the option."""
GREY_UNITS = np.float32(256)
"""Units in a level of grey. Blocks add integers of this unit, so that the order of their additions does not matter."""


def most_taps(longest: int, size: int) -> int:
    """Returns how many source pixels at most make a resized one, for crops of up to ``longest`` pixels a side."""
    return 2 * int(CUBIC_SUPPORT) * -(-max(longest, size) // size) + 2


@cuda.jit
def fill_weights(samples_n, firsts_nap, counts_nap, weights_nakp, grey_totals_n):
    """Fills the windows and weights of every position, one for each thread, and sets the grey totals to 0.

    Args:
        samples_n: records of SAMPLE [n].
        firsts_nap, counts_nap: int32 [n, 2, size], first source pixel and number of source pixels of each position.
        weights_nakp: float32 [n, 2, taps, size].
        grey_totals_n: int64 [n].
    """
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
def _add_up(value, totals_n, n):
    """Adds the values, float32, of all threads of the block to ``totals_n[n]``, int64, in 1 / GREY_UNITS.

    The columns are summed first, then their sums, so that the float32 sum is always formed in the same order.
    """
    values = cuda.shared.array(_THREADS, np.float32)
    x, columns = cuda.threadIdx.x, cuda.blockDim.x
    values[PLACE(cuda.threadIdx.y * columns + x)] = value
    cuda.syncthreads()
    if cuda.threadIdx.y == 0:
        for y in range(1, cuda.blockDim.y):
            values[PLACE(x)] += values[PLACE(y * columns + x)]
    cuda.syncthreads()
    if cuda.threadIdx.y == 0 and x == 0:
        total = values[0]
        for other in range(1, columns):
            total += values[PLACE(other)]
        cuda.atomic.add(totals_n, n, np.int64(total * GREY_UNITS))


@cuda.jit(device=True, inline="always")
def _squeeze(packed, source, stride, low, high, weights_k, taps, squeezed):
    """Does the vertical pass of source columns ``low`` to ``high`` (excluded) for the row of this thread.

    Args:
        packed: uint8 [bytes], of all images.
        source, stride: int64 and PLACE, the first byte of the row's window, and bytes from one source row to the next.
        low, high: integers, columns of the crop, at most CHUNK of them.
        weights_k, taps: float32 and PLACE, the row's weights and how many there are.
        squeezed: float32 [ROWS * CHUNK * 3] in shared memory, the result.
    """
    x = low + cuda.threadIdx.x
    while x < high:
        red, green, blue = weigh_pixels(packed, PLACE(source + 3 * x), stride, weights_k, taps)
        place = PLACE(3 * (cuda.threadIdx.y * CHUNK + x - low))
        squeezed[place] = to_level(red)
        squeezed[place + PLACE(1)] = to_level(green)
        squeezed[place + PLACE(2)] = to_level(blue)
        x += cuda.blockDim.x


@cuda.jit(fastmath=True, **_REGISTERS)
def resize(samples_n, packed, firsts_nap, counts_nap, weights_nakp, levels_nyxc, grey_totals_n):
    """Makes the flipped, resized views of bytes, and sums the grey before contrast of those with colour jitter.

    A block makes a tile of blockDim.y rows and blockDim.x columns. It puts the vertical pass of the tile's source
    columns into shared memory, CHUNK columns at a time, since crops may be of any width. Every thread then adds those
    that its pixel is made of.

    Args:
        samples_n: records of SAMPLE [n].
        packed: uint8 [bytes], of all images.
        firsts_nap, counts_nap, weights_nakp: what ``fill_weights`` made.
        levels_nyxc: uint8 [n, size, size, 3], the result.
        grey_totals_n: int64 [n], in 1 / GREY_UNITS of a level.
    """
    squeezed = cuda.shared.array(_SQUEEZED, np.float32)
    n, tx, ty = PLACE(cuda.blockIdx.z), cuda.threadIdx.x, cuda.threadIdx.y
    sample, size, firsts_ap, counts_ap = samples_n[n], levels_nyxc.shape[1], firsts_nap[n], counts_nap[n]
    left, top = cuda.blockIdx.x * cuda.blockDim.x, cuda.blockIdx.y * cuda.blockDim.y
    # Threads beyond the view's border repeat its last row or column, since all threads must reach the barriers.
    right = min(left + cuda.blockDim.x, size) - 1
    row, column = min(top + ty, size - 1), min(left + tx, right)
    first, count = firsts_ap[1, PLACE(column)], counts_ap[1, PLACE(column)]
    source = sample["start"] + np.int64(firsts_ap[0, PLACE(row)]) * sample["stride"]
    stride, taps = PLACE(sample["stride"]), PLACE(counts_ap[0, PLACE(row)])
    row_weights_k, column_weights_k = weights_nakp[n, 0, :, PLACE(row)], weights_nakp[n, 1, :, PLACE(column)]

    red = green = blue = ZERO
    low, end = firsts_ap[1, PLACE(left)], firsts_ap[1, PLACE(right)] + counts_ap[1, PLACE(right)]
    while low < end:
        high = min(low + CHUNK, end)
        _squeeze(packed, source, stride, low, high, row_weights_k, taps, squeezed)
        cuda.syncthreads()
        begin, stop = max(first, low), min(first + count, high)
        if begin < stop:
            place, weights_k = PLACE(3 * (ty * CHUNK + begin - low)), column_weights_k[begin - first :]
            r, g, b = weigh_pixels(squeezed, place, PLACE(3), weights_k, PLACE(stop - begin))
            red, green, blue = red + r, green + g, blue + b
        cuda.syncthreads()
        low = high

    red, green, blue = to_level(red), to_level(green), to_level(blue)
    own = left + tx < size and top + ty < size
    if own:
        level_c = levels_nyxc[n, PLACE(row), PLACE(size - 1 - column if sample["flip"] else column)]
        level_c[0], level_c[1], level_c[2] = np.uint8(red), np.uint8(green), np.uint8(blue)
    if sample["jitter"]:
        _add_up(grey_before_contrast(sample, red, green, blue) if own else ZERO, grey_totals_n, n)
