"""FFCV's JPEG decoder (libjpeg-turbo), called in FFCV's shared library without importing FFCV.

The import takes seconds, in which Numba compiles, and sets the numbers of threads of torch and of Numba to one.
"""

import ctypes
import importlib.util
from functools import cache
from pathlib import Path

from dataprep.errors import UserError


@cache
def imdecode() -> "ctypes._NamedFuncPointer":
    """The function that decodes a JPEG to RGB; it returns 0, or libjpeg-turbo's code.

    Its arguments are the input and its size in bytes; its height and width; the output; height, width, x and y of a
    crop; numerator and denominator of a scale; whether to crop, and whether to flip.

    Raises:
        UserError: FFCV is not installed, or its library cannot be loaded.
    """
    try:
        function = ctypes.CDLL(str(_shared_library())).imdecode
    except (OSError, AttributeError) as error:
        raise UserError(f"ffcv's library cannot be loaded ({error}): run scripts/setup.sh") from error
    function.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p]
    function.argtypes += [ctypes.c_uint32] * 6 + [ctypes.c_bool] * 2
    return function


def _shared_library() -> Path:
    spec = importlib.util.find_spec("ffcv")
    folders = spec.submodule_search_locations or [] if spec else []
    library = next((path for folder in folders for path in Path(folder).glob("_libffcv*.so")), None)
    if library is None:
        raise UserError("ffcv is not installed: run scripts/setup.sh")
    return library
