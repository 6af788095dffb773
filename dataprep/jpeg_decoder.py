"""The decoder that FFCV reads a store with, as a check on JPEG bytes before they are kept.

It is called in FFCV's own shared library, without importing FFCV, which takes seconds in every worker.
"""

import ctypes
import importlib.util
from functools import cache
from pathlib import Path

from dataprep.errors import UserError

REDUCTION = 8  # the largest that libjpeg has


def decodes(data: bytes, height: int, width: int) -> bool:
    """Whether a height x width JPEG decodes whole, without so much as a warning.

    It is decoded to an eighth of its size: that reads every bit of it, and saves most of the arithmetic after, in
    which nothing can fail.
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
    # The arguments: input and its size; height, width; output; height, width, x and y of a crop; a scale's
    # numerator and denominator; whether to crop, and to flip.
    function.argtypes = [ctypes.c_char_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p]
    function.argtypes += [ctypes.c_uint32] * 6 + [ctypes.c_bool] * 2
    return function
