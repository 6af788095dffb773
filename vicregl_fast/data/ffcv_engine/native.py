"""Functions in C that Numba's compiled code calls: FFCV's JPEG decoder, and the C library's copy.

The decoder is called by a name, so that Numba can keep what it compiles for the next process: the address of a
function, as ctypes would give it, is of one process only.
"""

import ctypes
from typing import Any

import numba
import numpy as np
from llvmlite import binding
from numba import types

from dataprep.libffcv import imdecode

NAME = "vicregl_fast_imdecode"
binding.add_symbol(NAME, ctypes.cast(imdecode(), ctypes.c_void_p).value)

_TYPES = {
    ctypes.c_void_p: types.uintp,
    ctypes.c_uint64: types.uint64,
    ctypes.c_uint32: types.uint32,
    ctypes.c_bool: types.boolean,
}
_imdecode: Any = types.ExternalFunction(NAME, types.int32(*(_TYPES[each] for each in imdecode().argtypes or ())))


@numba.njit(nogil=True, cache=True)
def decode_jpeg(jpeg, pixels, height, width):
    """Decodes a JPEG, uint8 [bytes], of this size in pixels to RGB: it fills ``pixels``, uint8 [3 * height * width].

    It returns 0, or libjpeg-turbo's code where the data do not decode. A JPEG of another size is shrunk, or fills a
    part.
    """
    h, w, none, one = np.uint32(height), np.uint32(width), np.uint32(0), np.uint32(1)
    size = np.uint64(jpeg.size)
    return _imdecode(jpeg.ctypes.data, size, h, w, pixels.ctypes.data, h, w, none, none, one, one, False, False)


_memcpy: Any = types.ExternalFunction("memcpy", types.uintp(types.uintp, types.uintp, types.uintp))


@numba.njit(nogil=True, cache=True)
def copy_bytes(source, target):
    """Copies ``source`` to ``target``, both uint8 [bytes] of the same length and no byte in common.

    What Numba makes of ``target[:] = source`` takes four times as long.
    """
    _memcpy(target.ctypes.data, source.ctypes.data, np.uintp(source.size))
