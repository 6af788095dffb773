"""Colour operations in place on the planes [3, pixels] of one view, float32 in [0, 255]."""

import numpy as np
from numba import njit

from vicregl_fast.augment.operations import CONTRAST
from vicregl_fast.augment.scalars import ONE, ZERO, adjust, grey


@njit(nogil=True, cache=True)
def jitter(planes_cp, order_a, factors_a):
    """All adjustments in this order (int8 [a], numbers), with these factors (float32 [a], by number)."""
    for operation in order_a:
        mean = _mean_grey(planes_cp) if operation == CONTRAST else ZERO
        adjust_pixels(planes_cp, operation, factors_a[operation], mean)


@njit(nogil=True, fastmath=True, cache=True)
def adjust_pixels(planes_cp, operation, factor, mean_grey):
    """One adjustment of every pixel."""
    red, green, blue = planes_cp[0], planes_cp[1], planes_cp[2]
    for i in range(len(red)):
        red[i], green[i], blue[i] = adjust(operation, factor, red[i], green[i], blue[i], mean_grey)


@njit(nogil=True, fastmath=True, cache=True)
def _mean_grey(planes_cp):
    red, green, blue = planes_cp[0], planes_cp[1], planes_cp[2]
    total = ZERO
    for i in range(len(red)):
        total += grey(red[i], green[i], blue[i])
    return total * (ONE / np.float32(len(red)))
