"""What the compiled backends do to one pixel, and which source pixels make a resized one; shared by CPU and GPU.

Numba writes these functions into the kernels that call them (``inline``), for the CPU and for CUDA. Separate functions
could not be compiled for a GPU on a machine without its driver. ``augment.reference`` holds the reference of each.

Arguments and results are float32 scalars, levels of colour in [0, 255], unless a function says otherwise.
"""

import numpy as np
from numba import njit

from vicregl_fast.augment.normalisation import LEVEL_MEANS, LEVEL_SCALES
from vicregl_fast.augment.operations import BRIGHTNESS, CONTRAST, GREY_WEIGHTS, HUE

ZERO, HALF, ONE, TWO, THREE, SIX = (np.float32(value) for value in (0, 0.5, 1, 2, 3, 6))
WHITE = np.float32(255)
GREY_RED, GREY_GREEN, GREY_BLUE = (np.float32(weight) for weight in GREY_WEIGHTS)
SMALLEST_CHROMA = np.float32(1e-6)
FOUR, FIVE, EIGHT = (np.float32(value) for value in (4, 5, 8))
KEYS = np.float32(-0.5)  # the coefficient of Keys' cubic, as in PIL and in torch's antialiased resize
CUBIC_SUPPORT = np.float32(2)  # source pixels to either side, at scale 1


@njit(inline="always")
def clamp(value):
    """Limits ``value`` to [0, 255]."""
    return min(max(value, ZERO), WHITE)


@njit(inline="always")
def to_level(value):
    """Rounds to the nearest whole number in [0, 255], as each pass of the resize does."""
    return np.float32(np.int32(clamp(value) + HALF))


@njit(inline="always")
def grey(red, green, blue):
    """Returns the grey level of a pixel, with the weights of ITU-R 601-2."""
    return GREY_RED * red + GREY_GREEN * green + GREY_BLUE * blue


@njit(inline="always")
def blend(value, other, factor):
    """Returns ``other`` for factor 0, ``value`` for 1, extrapolates for larger factors, and limits to [0, 255]."""
    return clamp(other + factor * (value - other))


@njit(inline="always")
def _share(distance, chroma, smallest):
    """Returns the level of a channel whose share of the chroma is ``distance``, limited to [0, 1]."""
    return min(max(distance, ZERO), ONE) * chroma + smallest


@njit(inline="always")
def turn_hue(red, green, blue, turns):
    """Turns a pixel's hue by ``turns``, in [-0.5, 0.5]; without branches (explained at ``reference.adjust_hue``)."""
    smallest = min(min(red, green), blue)
    chroma = max(max(red, green), blue) - smallest
    size = (green + blue - red - smallest) / max(chroma, SMALLEST_CHROMA) + ONE
    hue = (size if green >= blue else -size) + SIX * turns
    turn = np.float32(np.int32(hue / SIX + TWO + HALF)) - TWO  # to nearest: int32 rounds positive numbers down
    hue = hue - SIX * turn
    return (
        _share(TWO - abs(hue), chroma, smallest),
        _share(abs(abs(hue - TWO) - THREE) - ONE, chroma, smallest),
        _share(abs(abs(hue + TWO) - THREE) - ONE, chroma, smallest),
    )


@njit(inline="always")
def adjust(operation, factor, red, green, blue, mean_grey):
    """Returns the three levels of a pixel after one adjustment.

    Args:
        operation: integer, number of a row of ``operations.ADJUSTMENTS``.
        factor: of the adjustment; of hue, in turns.
        red, green, blue: levels of the pixel.
        mean_grey: mean grey level of the whole view; used only by contrast.
    """
    if operation == HUE:
        return turn_hue(red, green, blue, factor)
    if operation == BRIGHTNESS:
        other = ZERO
    elif operation == CONTRAST:
        other = mean_grey
    else:  # saturation
        other = grey(red, green, blue)
    return blend(red, other, factor), blend(green, other, factor), blend(blue, other, factor)


@njit(inline="always")
def solarise(value, threshold):
    """Inverts a level that is at or above the threshold."""
    return WHITE - value if value >= threshold else value


@njit(inline="always")
def normalise(value, channel):
    """Turns a level of ``channel``, an integer (0 red, 1 green, 2 blue), into what the network sees."""
    return (value - LEVEL_MEANS[channel]) * LEVEL_SCALES[channel]


@njit(inline="always")
def cubic(x):
    """Returns Keys' cubic at ``x``, float32 or float64, in the same type."""
    x = abs(x)
    if x < ONE:
        return ((KEYS + TWO) * x - (KEYS + THREE)) * x * x + ONE
    if x < TWO:
        return (((x - FIVE) * x + EIGHT) * x - FOUR) * KEYS
    return x * ZERO


@njit(inline="always")
def window(position, length, size):
    """Finds the source pixels that a resized pixel is made of, along one axis, by PIL's rule for antialiasing.

    Args:
        position: number of the resized pixel, from 0.
        length: how many source pixels there are.
        size: how many resized pixels there are. All three are integers, or float32, which is faster on a GPU.

    Returns:
        (first, count, centre, step): the first source pixel and how many there are, integers; the centre, in source
        pixels, and the step of the cubic's argument from one source pixel to the next, float64 for integer arguments.
        The weight of source pixel ``first + k`` is ``cubic((first + k - centre + 0.5) * step)``, divided by the sum of
        these weights.
    """
    scale = length / size
    width = max(scale, ONE)
    centre = (position + HALF) * scale
    first = max(0, int(centre - CUBIC_SUPPORT * width + HALF))
    last = int(min(length, centre + CUBIC_SUPPORT * width + HALF))
    return first, last - first, centre, ONE / width
