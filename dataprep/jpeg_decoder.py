"""Checks JPEG bytes, before they are kept, with the decoder by which FFCV will read them.

The decoder is called in FFCV's shared library without importing FFCV, which would take seconds in every worker.
"""

import ctypes
import importlib.util
from functools import cache
from pathlib import Path

from dataprep.errors import UserError

REDUCTION = 8  # of each side: the largest that libjpeg supports


def decodes(data: bytes, height: int, width: int) -> bool:
    """Whether a JPEG of ``height`` x ``width`` pixels decodes completely and without a warning.

    It is decoded to an eighth of its sides. This still reads every bit of the data, but saves most of the arithmetic
    that follows, which cannot fail.

    Raises:
        UserError: FFCV is not installed.
    """
    pixels = ctypes.create_string_buffer(3 * -(-height // REDUCTION) * -(-width // REDUCTION))
    whole = (height, width, 0, 0, 1, REDUCTION, False, False)
    return _imdecode()(data, len(data), height, width, pixels, *whole) == 0


@cache
def _imdecode() -> "ctypes._NamedFuncPointer":
    spec = importlib.util.find_spec("ffcv")
    folders = spec.submodule_search_locations or [] if spec else []
    library = next((path for folder in folders for path in Path(folder).glob("_libffcv*.so")), None)
    if library is None:
        raise UserError("ffcv is not installed; run scripts/setup.sh")
    function = ctypes.CDLL(str(library)).imdecode
    # The arguments: the input and its size in bytes; its height and width; the output; height, width, x and y of a
    # crop; numerator and denominator of a scale; whether to crop, and whether to flip.
    function.argtypes = [ctypes.c_char_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p]
    function.argtypes += [ctypes.c_uint32] * 6 + [ctypes.c_bool] * 2
    return function
