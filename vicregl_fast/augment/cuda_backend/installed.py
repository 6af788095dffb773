"""Whether numba-cuda can be used here; it is optional, and its releases may fall behind those of NumPy."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec

import numpy as np

from dataprep.errors import reason_of


@cache
def why_unusable() -> str | None:
    """Why no kernels can be compiled, to follow ``numba-cuda``; None where they can.

    It imports what numba-cuda imports before it compiles its first kernel, but asks for no GPU.
    """
    if find_spec("numba_cuda") is None:
        return "is not installed"
    keep_row_stack()
    try:
        import_module("numba.cuda.cudaimpl")
    except Exception as error:  # it fails in many ways beside a NumPy or Numba that it was not made for
        return f"cannot be imported ({reason_of(error)})"
    return None


def keep_row_stack() -> None:
    """Gives NumPy 2.5 the name that it removed and numba-cuda 0.30 still overloads; to be called before compiling."""
    if not hasattr(np, "row_stack"):
        np.row_stack = np.vstack
