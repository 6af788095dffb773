"""Whether numba-cuda can be used here; it is optional, and its releases may fall behind those of NumPy."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec

import numpy as np

from dataprep.errors import reason_of

PROBED_CAPABILITY = (8, 0)
"""For which both CUDA 12 and CUDA 13 compile."""


@cache
def why_unusable() -> str | None:
    """Why it compiles no kernels here, to follow ``numba-cuda``; None where it brings an empty one to PTX."""
    if find_spec("numba_cuda") is None:
        return "is not installed"
    keep_row_stack()
    try:
        import_module("numba.cuda").compile_ptx(_nothing, (), cc=PROBED_CAPABILITY)
    except Exception as error:  # beside a NumPy or Numba that it was not made for, or without CUDA's compiler
        return f"cannot compile kernels ({reason_of(error)})"
    return None


def _nothing() -> None:
    pass


def keep_row_stack() -> None:
    """Gives NumPy 2.5 the name that it removed and numba-cuda 0.30 still overloads; to be called before compiling."""
    if not hasattr(np, "row_stack"):
        np.row_stack = np.vstack
