"""Converts float32 to bfloat16, for which Numba has no type: the result is the 16 bits that torch stores."""

from collections.abc import Callable

import numpy as np
from numba import cuda

_SHIFT, _ONE, _ALMOST_HALF = np.int32(16), np.int32(1), np.int32(0x7FFF)


def bfloat16_encoder(float_as_int: Callable) -> Callable:
    """Returns the device function from a finite float32 to int16 bits, rounded to nearest, ties to even.

    Args:
        float_as_int: function from a float32 to its bits as int32; on a GPU, ``libdevice.float_as_int``.
    """

    @cuda.jit(device=True, inline="always")
    def encode(value):
        bits = float_as_int(value)
        return np.int16((bits + _ALMOST_HALF + ((bits >> _SHIFT) & _ONE)) >> _SHIFT)

    return encode
