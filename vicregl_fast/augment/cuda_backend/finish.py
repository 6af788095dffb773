"""Does all that follows the resize, a tile of the view for each block: colour, blur, solarise, normalise.

``sample`` is a record of SAMPLE. The arrays in shared memory are float32 and flat: ``pixels`` has three planes, _PLANE
apart, of [_HALO, _PITCH], the tile and its margin; ``across`` is [_HALO, _ACROSS_PITCH], for a plane at a time, since
more blocks then fit a multiprocessor; ``gaussian`` is [_TAPS], the blur's weights. Shape letters: n samples, y rows,
x columns, c channels, j values of a row, 3 * column + channel.
"""

from collections.abc import Callable

import numpy as np
from numba import cuda

from vicregl_fast.augment.cuda_backend.blur import fill_gaussian
from vicregl_fast.augment.cuda_backend.colour import colour
from vicregl_fast.augment.cuda_backend.resize import GREY_UNITS
from vicregl_fast.augment.cuda_backend.samples import LARGEST_RADIUS
from vicregl_fast.augment.cuda_backend.sums import PLACE, weigh_run
from vicregl_fast.augment.scalars import normalise, solarise

SIDE = 32  # of the largest tile, in pixels
RUN = 4  # neighbours that a thread blurs at once
_HALO = SIDE + 2 * LARGEST_RADIUS
_PITCH, _ACROSS_PITCH = _HALO + 1, SIDE + 1  # odd, so that a column lies in different memory banks
_BANKS = 32  # of shared memory
_PLANE = _HALO * _PITCH + (_BANKS // 3 + 1 - _HALO * _PITCH) % _BANKS  # the 32 values j of a warp, too
_PIXELS, _ACROSS, _TAPS = 3 * _PLANE, _HALO * _ACROSS_PITCH, 2 * LARGEST_RADIUS + RUN


@cuda.jit(device=True, inline="always")
def _put(values, place, step, a, b, c, d):
    """Writes four float32 to ``values``, from index ``place`` on, ``step`` apart (both PLACE)."""
    values[place] = a
    values[place + step] = b
    values[place + PLACE(2) * step] = c
    values[place + PLACE(3) * step] = d


@cuda.jit(device=True, inline="always")
def _colour_tile(sample, levels_yxc, mean, left, top, pixels):
    """Writes the tile and ``radius`` pixels around it into ``pixels``; the border's are repeated beyond the border.

    Args:
        sample: what is done to the view.
        levels_yxc: uint8 [size, size, 3], the resized view.
        mean: float32, its mean grey level before contrast.
        left, top: int32, the tile's first column and row.
        pixels: the result.
    """
    size, radius, side = levels_yxc.shape[0], sample["radius"], cuda.blockDim.x
    y = cuda.threadIdx.y
    while y < side + 2 * radius:
        level_xc = levels_yxc[PLACE(min(max(top + y - radius, 0), size - 1))]
        x = cuda.threadIdx.x
        while x < side + 2 * radius:
            level_c = level_xc[PLACE(min(max(left + x - radius, 0), size - 1))]
            red, green, blue = np.float32(level_c[0]), np.float32(level_c[1]), np.float32(level_c[2])
            red, green, blue = colour(sample, red, green, blue, mean)
            place = PLACE(y * _PITCH + x)
            pixels[place], pixels[place + PLACE(_PLANE)], pixels[place + PLACE(2 * _PLANE)] = red, green, blue
            x += side
        y += cuda.blockDim.y


@cuda.jit(device=True, inline="always")
def _blur_across(pixels, gaussian, radius, channel, across):
    """Blurs along the rows of a plane of the tile and of its margin. A thread makes RUN columns of a row.

    ``radius`` and ``channel`` are int32.
    """
    start = RUN * cuda.threadIdx.y
    y = cuda.threadIdx.x
    while y < cuda.blockDim.x + 2 * radius:
        place = PLACE(channel * _PLANE + y * _PITCH + start)
        a, b, c, d = weigh_run(pixels, place, PLACE(1), gaussian, PLACE(2 * radius + 1))
        _put(across, PLACE(y * _ACROSS_PITCH + start), PLACE(1), a, b, c, d)
        y += cuda.blockDim.x


@cuda.jit(device=True, inline="always")
def _final(value, sample, threshold, channel):
    """Normalises a level of ``channel``, an integer, and before that solarises it if the sample's chance happens."""
    if sample["solarise"]:
        value = solarise(value, threshold)
    return normalise(value, channel)


@cuda.jit(device=True, inline="always")
def _blur_down(across, gaussian, sample, threshold, channel, pixels):
    """Blurs along the columns of a plane of the tile, solarises and normalises it. A thread makes RUN rows of a column.

    The result takes the place of the plane in ``pixels``, without a margin; ``channel`` is int32.
    """
    x, y = cuda.threadIdx.x, RUN * cuda.threadIdx.y
    place, taps = PLACE(y * _ACROSS_PITCH + x), PLACE(2 * sample["radius"] + 1)
    a, b, c, d = weigh_run(across, place, PLACE(_ACROSS_PITCH), gaussian, taps)
    a, b = _final(a, sample, threshold, channel), _final(b, sample, threshold, channel)
    c, d = _final(c, sample, threshold, channel), _final(d, sample, threshold, channel)
    _put(pixels, PLACE(channel * _PLANE + y * _PITCH + x), PLACE(_PITCH), a, b, c, d)


def finish_kernel(encode: Callable) -> Callable:
    """Returns the kernel that makes views and stores what ``encode`` gives, a device function of a float32."""

    @cuda.jit(fastmath=True)
    def finish(samples_n, levels_nyxc, grey_totals_n, threshold, views_nyj):
        """Makes the views from the resized ones. A block makes a tile of blockDim.x rows and columns.

        Args:
            samples_n: records of SAMPLE [n].
            levels_nyxc, grey_totals_n: what ``resize`` made.
            threshold: float32, level of solarising.
            views_nyj: [n, size, 3 * size], the result, of the type that ``encode`` gives or float16.
        """
        pixels = cuda.shared.array(_PIXELS, np.float32)
        across = cuda.shared.array(_ACROSS, np.float32)
        gaussian = cuda.shared.array(_TAPS, np.float32)
        n, tx, ty, side = cuda.blockIdx.z, cuda.threadIdx.x, cuda.threadIdx.y, cuda.blockDim.x
        sample, size = samples_n[n], levels_nyxc.shape[1]
        left, top = cuda.blockIdx.x * side, cuda.blockIdx.y * side
        if ty == 0:
            fill_gaussian(gaussian, sample["sigma"], sample["radius"], tx, side)
        mean = np.float32(grey_totals_n[n]) / (GREY_UNITS * np.float32(size * size))
        _colour_tile(sample, levels_nyxc[n], mean, left, top, pixels)
        cuda.syncthreads()
        for channel in range(3):
            _blur_across(pixels, gaussian, sample["radius"], np.int32(channel), across)
            cuda.syncthreads()
            _blur_down(across, gaussian, sample, threshold, np.int32(channel), pixels)
            cuda.syncthreads()
        # Threads write along the rows of the tile, so that neighbours write neighbouring values.
        j = PLACE(tx)
        while j < PLACE(3 * min(side, size - left)):
            x = j // PLACE(3)
            y, column = ty, (j - PLACE(3) * x) * PLACE(_PLANE) + x
            while y < min(side, size - top):
                views_nyj[n, PLACE(top + y), PLACE(3 * left) + j] = encode(pixels[column + PLACE(y * _PITCH)])
                y += cuda.blockDim.y
            j += PLACE(side)

    return finish
