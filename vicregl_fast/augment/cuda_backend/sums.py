"""Weighted sums over neighbours, the inner loops of resize and blur.

Places are unsigned and loops are spelt out: Numba wraps every signed index around as Python does, and its ``range``
keeps two counters, which together take twice the time of the sums themselves.
"""

import numpy as np
from numba import cuda

from vicregl_fast.augment.scalars import ZERO

PLACE = np.uintp
_0, _1, _2 = PLACE(0), PLACE(1), PLACE(2)


@cuda.jit(device=True, inline="always")
def weigh_pixels(values, place, step, weights, count):
    """Sums ``count`` pixels of three neighbouring values, ``step`` values apart, by their weights (all PLACEs)."""
    red = green = blue = ZERO
    k = _0
    while k < count:
        weight = weights[k]
        red += weight * np.float32(values[place])
        green += weight * np.float32(values[place + _1])
        blue += weight * np.float32(values[place + _2])
        place += step
        k += _1
    return red, green, blue


@cuda.jit(device=True, inline="always")
def weigh_run(values, place, step, weights, count):
    """Filters four neighbours at once, so that a value is read once for all of them.

    The first sum is that of ``count`` values from ``place`` on, ``step`` apart, the next ones begin one value later.
    ``weights`` has three zeros behind the last of its ``count`` weights.
    """
    first = second = third = fourth = ZERO
    weight_1 = weight_2 = weight_3 = ZERO
    k, end = _0, count + PLACE(3)
    while k < end:
        value, weight_0 = values[place], weights[k]
        first += weight_0 * value
        second += weight_1 * value
        third += weight_2 * value
        fourth += weight_3 * value
        weight_3, weight_2, weight_1 = weight_2, weight_1, weight_0
        place += step
        k += _1
    return first, second, third, fourth
