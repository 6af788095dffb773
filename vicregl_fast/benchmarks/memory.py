"""Peak memory of a call: what it holds at most beyond what was there before."""

import ctypes
from collections.abc import Callable
from pathlib import Path

import torch

from vicregl_fast.benchmarks.timing import synchronize


def peak_bytes(call: Callable[[], object], device: torch.device) -> int | None:
    """Bytes on a GPU by PyTorch's allocator; on a CPU the process's resident memory, by Linux's high-water mark.

    None where the mark cannot be reset (it is one's own process's, which some sandboxes forbid).
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
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {key}")
