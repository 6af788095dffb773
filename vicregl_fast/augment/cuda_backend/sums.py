"""Weighted sums over neighbours: the inner loops of resize and blur.

Indices are unsigned (PLACE) and loops are written with ``while``. Numba would wrap every signed index around as Python
does, and keep two counters for ``range``; together this would take twice the time of the sums themselves.
"""

import numpy as np
from numba import cuda

from vicregl_fast.augment.scalars import ZERO

PLACE = np.uintp
_0, _1, _2 = PLACE(0), PLACE(1), PLACE(2)


@cuda.jit(device=True, inline="always")
def weigh_pixels(values, place, step, weights, count):
    """Returns the weighted sum of pixels, three float32 (red, green, blue).

    Args:
        values: uint8 or float32 [any length]; the three values of a pixel are neighbours.
        place, step: PLACE, index of the first pixel and the distance to the next.
        weights: float32 [count or more].
        count: PLACE, how many pixels.
    """
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
    """Returns four weighted sums, float32, each of which begins one value after the previous one.

    They are formed together, so that a value is read once for all of them.

    Args:
        values: float32 [any length].
        place, step: PLACE, index of the first sum's first value and the distance to the next value.
        weights: float32 [count + 3 or more], with three zeros behind the weights.
        count: PLACE, how many weights there are.
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
