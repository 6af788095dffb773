"""float32 to bfloat16, which Numba has no type for: as the 16 bits that torch keeps it in."""

from collections.abc import Callable

import numpy as np
from numba import cuda

_SHIFT, _ONE, _ALMOST_HALF = np.int32(16), np.int32(1), np.int32(0x7FFF)


def bfloat16_encoder(float_as_int: Callable) -> Callable:
    """Returns the device function from a finite float32 to its bits, rounded to the nearest, ties to even.

    float_as_int: gives a float32's bits as int32; on the device ``libdevice.float_as_int``.
    """

    @cuda.jit(device=True, inline="always")
    def encode(value):
        bits = float_as_int(value)
        return np.int16((bits + _ALMOST_HALF + ((bits >> _SHIFT) & _ONE)) >> _SHIFT)

    return encode
