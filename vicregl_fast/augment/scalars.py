"""What compiled backends do to one pixel, and where a resized pixel looks: one source for CPUs and GPUs.

Numba writes them into the kernels that call them (``inline``), for the CPU and for CUDA: as functions of their own they
could not be compiled for a GPU without its driver. Pixels are float32 in [0, 255]. The reference of each is in
``augment.reference``.
"""

import numpy as np
from numba import njit

from vicregl_fast.augment.normalisation import LEVEL_MEANS, LEVEL_SCALES
from vicregl_fast.augment.operations import BRIGHTNESS, CONTRAST, HUE

ZERO, HALF, ONE, TWO, THREE, SIX = (np.float32(value) for value in (0, 0.5, 1, 2, 3, 6))
WHITE = np.float32(255)
GREY_RED, GREY_GREEN, GREY_BLUE = np.float32(0.299), np.float32(0.587), np.float32(0.114)
SMALLEST_CHROMA = np.float32(1e-6)
FOUR, FIVE, EIGHT = (np.float32(value) for value in (4, 5, 8))
KEYS = np.float32(-0.5)  # Keys' coefficient of the cubic, PIL's and torch's where they antialias
CUBIC_SUPPORT = np.float32(2)  # source pixels to either side, at scale 1


@njit(inline="always")
def clamp(value):
    """Into [0, 255]."""
    return min(max(value, ZERO), WHITE)


@njit(inline="always")
def to_level(value):
    """The nearest whole number in [0, 255], as float32: what a pass of the resize leaves."""
    return np.float32(np.int32(clamp(value) + HALF))


@njit(inline="always")
def grey(red, green, blue):
    """ITU-R 601-2."""
    return GREY_RED * red + GREY_GREEN * green + GREY_BLUE * blue


@njit(inline="always")
def blend(value, other, factor):
    """``other`` at factor 0, ``value`` at 1, and beyond it above."""
    return clamp(other + factor * (value - other))


@njit(inline="always")
def _share(distance, chroma, smallest):
    return min(max(distance, ZERO), ONE) * chroma + smallest


@njit(inline="always")
def turn_hue(red, green, blue, turns):
    """The pixel with its hue turned, saturation and value kept; without a branch (see ``reference.adjust_hue``)."""
    smallest = min(min(red, green), blue)
    chroma = max(max(red, green), blue) - smallest
    size = (green + blue - red - smallest) / max(chroma, SMALLEST_CHROMA) + ONE
    hue = (size if green >= blue else -size) + SIX * turns
    turn = np.float32(np.int32(hue / SIX + TWO + HALF)) - TWO  # the nearest: int32 rounds what is positive down
    hue = hue - SIX * turn
    return (
        _share(TWO - abs(hue), chroma, smallest),
        _share(abs(abs(hue - TWO) - THREE) - ONE, chroma, smallest),
        _share(abs(abs(hue + TWO) - THREE) - ONE, chroma, smallest),
    )


@njit(inline="always")
def adjust(operation, factor, red, green, blue, mean_grey):
    """The pixel after one of ``operations.ADJUSTMENTS``, by its number; ``mean_grey`` is that of the whole view."""
    if operation == HUE:
        return turn_hue(red, green, blue, factor)
    if operation == BRIGHTNESS:
        other = ZERO
    elif operation == CONTRAST:
        other = mean_grey
    else:
        other = grey(red, green, blue)
    return blend(red, other, factor), blend(green, other, factor), blend(blue, other, factor)


@njit(inline="always")
def solarise(value, threshold):
    """Inverted at or above the threshold."""
    return WHITE - value if value >= threshold else value


@njit(inline="always")
def normalise(value, channel):
    """What the network sees of a channel (0 red, 1 green, 2 blue)."""
    return (value - LEVEL_MEANS[channel]) * LEVEL_SCALES[channel]


@njit(inline="always")
def cubic(x):
    """Keys' cubic, in the type of ``x``."""
    x = abs(x)
    if x < ONE:
        return ((KEYS + TWO) * x - (KEYS + THREE)) * x * x + ONE
    if x < TWO:
        return (((x - FIVE) * x + EIGHT) * x - FOUR) * KEYS
    return x * ZERO


@njit(inline="always")
def window(position, length, size):
    """Which of ``length`` source pixels one of ``size`` resized pixels is made of (PIL's antialiased rule).

    In float64 for whole numbers, in float32 for arguments of that type, as GPUs prefer.

    Returns:
        first source pixel, how many there are, centre (in source pixels), and what a source pixel counts
        of the filter's width. Source pixel ``first + k`` weighs ``cubic((first + k - centre + 0.5) * step)``, divided
        by the sum of these weights.
    """
    scale = length / size
    width = max(scale, ONE)
    centre = (position + HALF) * scale
    first = max(0, int(centre - CUBIC_SUPPORT * width + HALF))
    last = int(min(length, centre + CUBIC_SUPPORT * width + HALF))
    return first, last - first, centre, ONE / width
