"""VICRegL pretraining at the speed of the hardware (Bardes, Ponce, LeCun, NeurIPS 2022)."""

import os
from contextlib import suppress

from vicregl_fast.caches import use_writable_caches

# Set before torch allocates its first memory. It lets torch put large CPU tensors on huge pages where Linux leaves the
# choice to programs. On small pages, the page faults of a fresh tensor take five times as long as filling it.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

use_writable_caches()

# Makes numba.cuda mean numba-cuda also where that lies in a folder of PYTHONPATH, whose .pth files Python does not run.
# Numba has a CUDA target of its own, which would be taken in silence.
with suppress(ImportError):
    import _numba_cuda_redirector  # noqa: F401
