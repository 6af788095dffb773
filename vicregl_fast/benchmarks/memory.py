"""Peak memory of a call: the most that it adds to what was in use before."""

import ctypes
from collections.abc import Callable
from pathlib import Path

import torch

from vicregl_fast.benchmarks.timing import synchronize


def peak_bytes(call: Callable[[], object], device: torch.device) -> int | None:
    """Calls ``call`` and measures its peak memory in bytes.

    On a GPU this is memory of PyTorch's allocator. On a CPU it is the process's resident memory, by Linux's high-water
    mark; memory that the process already held and reuses is not seen.

    Returns:
        The bytes, or None on a CPU where the high-water mark cannot be reset, as in some sandboxes.
    """
    if device.type == "cuda":
        synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    before = _status_bytes("VmRSS")
    call()
    return _status_bytes("VmHWM") - before


def _status_bytes(key: str) -> int:
    """An entry of this process's status, which Linux gives in KiB, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {key}")
