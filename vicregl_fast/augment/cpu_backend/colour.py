"""Colour operations, in place, on the planes of one view, float32 [3, pixels] with levels in [0, 255].

Shape letters: c channels (red, green, blue), p pixels, a adjustments.
"""

import numpy as np
from numba import njit

from vicregl_fast.augment.operations import CONTRAST
from vicregl_fast.augment.scalars import ONE, ZERO, adjust, grey


@njit(nogil=True, cache=True)
def jitter(planes_cp, order_a, factors_a):
    """Applies all adjustments.

    Args:
        planes_cp: float32 [3, pixels].
        order_a: int8 [a], numbers of the adjustments, first to last.
        factors_a: float32 [a], by the number of the adjustment.
    """
    for operation in order_a:
        mean = _mean_grey(planes_cp) if operation == CONTRAST else ZERO
        adjust_pixels(planes_cp, operation, factors_a[operation], mean)


@njit(nogil=True, fastmath=True, cache=True)
def adjust_pixels(planes_cp, operation, factor, mean_grey):
    """Applies ``scalars.adjust`` to every pixel; ``factor`` and ``mean_grey`` are float32."""
    red, green, blue = planes_cp[0], planes_cp[1], planes_cp[2]
    for i in range(len(red)):
        red[i], green[i], blue[i] = adjust(operation, factor, red[i], green[i], blue[i], mean_grey)


@njit(nogil=True, fastmath=True, cache=True)
def _mean_grey(planes_cp):
    """Returns the mean grey level of the view, float32."""
    red, green, blue = planes_cp[0], planes_cp[1], planes_cp[2]
    total = ZERO
    for i in range(len(red)):
        total += grey(red[i], green[i], blue[i])
    return total * (ONE / np.float32(len(red)))
