"""What compiled backends do to one pixel, and where a resized pixel looks: one source for CPUs and GPUs.

Numba writes them into the kernels that call them (``inline``), for the CPU and for CUDA: as functions of their own they
could not be compiled for a GPU without its driver. Pixels are float32 in [0, 255]. The reference of each is in
``augment.reference``.
"""

import numpy as np
from numba import njit

ZERO, HALF, ONE, TWO, THREE, SIX = (np.float32(value) for value in (0, 0.5, 1, 2, 3, 6))
WHITE = np.float32(255)
GREY_RED, GREY_GREEN, GREY_BLUE = np.float32(0.299), np.float32(0.587), np.float32(0.114)
SMALLEST_CHROMA = np.float32(1e-6)
KEYS = -0.5  # Keys' coefficient of the cubic, PIL's and torch's where they antialias
CUBIC_SUPPORT = 2.0  # source pixels to either side, at scale 1


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
    hue = hue - SIX * (
        np.float32(np.int32(hue / SIX + TWO + HALF)) - TWO
    )  # within two turns, so that int32 rounds down
    return (
        _share(TWO - abs(hue), chroma, smallest),
        _share(abs(abs(hue - TWO) - THREE) - ONE, chroma, smallest),
        _share(abs(abs(hue + TWO) - THREE) - ONE, chroma, smallest),
    )


@njit(inline="always")
def solarise(value, threshold):
    """Inverted at or above the threshold."""
    return WHITE - value if value >= threshold else value


@njit(inline="always")
def cubic(x):
    """Keys' cubic, float64."""
    x = abs(x)
    if x < 1.0:
        return ((KEYS + 2.0) * x - (KEYS + 3.0)) * x * x + 1.0
    if x < 2.0:
        return (((x - 5.0) * x + 8.0) * x - 4.0) * KEYS
    return 0.0


@njit(inline="always")
def window(position, length, size):
    """Which of ``length`` source pixels one of ``size`` resized pixels is made of (PIL's antialiased rule).

    Returns:
        first source pixel, how many there are, centre (float64, in source pixels), and what a source pixel counts
        of the filter's width. Source pixel ``first + k`` weighs ``cubic((first + k - centre + 0.5) * step)``, divided
        by the sum of these weights.
    """
    scale = length / size
    width = max(scale, 1.0)
    centre = (position + 0.5) * scale
    first = max(0, int(centre - CUBIC_SUPPORT * width + 0.5))
    last = min(length, int(centre + CUBIC_SUPPORT * width + 0.5))
    return first, last - first, centre, 1.0 / width
