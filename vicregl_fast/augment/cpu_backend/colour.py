"""Colour operations in place on the planes [3, pixels] of one view, float32 in [0, 255]."""

import numpy as np
from numba import njit

from vicregl_fast.augment.parameters import BRIGHTNESS, CONTRAST, SATURATION
from vicregl_fast.augment.scalars import ONE, ZERO, blend, grey, turn_hue


@njit(nogil=True, cache=True)
def jitter(planes_cp, order_4, brightness, contrast, saturation, hue):
    """The four operations in this order, with these factors (hue in turns)."""
    for operation in order_4:
        if operation == BRIGHTNESS:
            _blend_with(planes_cp, ZERO, brightness)
        elif operation == CONTRAST:
            _blend_with(planes_cp, _mean_grey(planes_cp), contrast)
        elif operation == SATURATION:
            saturate(planes_cp, saturation)
        else:
            _hue(planes_cp, hue)


@njit(nogil=True, fastmath=True, cache=True)
def saturate(planes_cp, factor):
    """Blends with the grey image, which is what factor 0 leaves."""
    red, green, blue = planes_cp[0], planes_cp[1], planes_cp[2]
    for i in range(len(red)):
        level = grey(red[i], green[i], blue[i])
        red[i] = blend(red[i], level, factor)
        green[i] = blend(green[i], level, factor)
        blue[i] = blend(blue[i], level, factor)


@njit(nogil=True, fastmath=True, cache=True)
def _blend_with(planes_cp, level, factor):
    for channel in range(3):
        plane = planes_cp[channel]
        for i in range(len(plane)):
            plane[i] = blend(plane[i], level, factor)


@njit(nogil=True, fastmath=True, cache=True)
def _mean_grey(planes_cp):
    red, green, blue = planes_cp[0], planes_cp[1], planes_cp[2]
    total = ZERO
    for i in range(len(red)):
        total += grey(red[i], green[i], blue[i])
    return total * (ONE / np.float32(len(red)))


@njit(nogil=True, fastmath=True, cache=True)
def _hue(planes_cp, turns):
    red, green, blue = planes_cp[0], planes_cp[1], planes_cp[2]
    for i in range(len(red)):
        red[i], green[i], blue[i] = turn_hue(red[i], green[i], blue[i], turns)
