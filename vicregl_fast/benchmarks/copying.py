"""Memory bandwidth: the upper limit for everything that only moves data."""

from collections.abc import Iterator

import torch

from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.timing import in_a_row, time_calls


def bench_copy(device: torch.device, mebibytes: int, repeats: int) -> Iterator[Measurement]:
    """Times copies of ``mebibytes``, ``repeats`` durations each, in GB/s (10^9 bytes).

    ``copy.device`` is a copy within the device, and counts bytes read and bytes written. On CUDA ``copy.pageable`` and
    ``copy.pinned`` are copies to the device from host memory of that kind.
    """
    size = mebibytes * 2**20
    source, target = (torch.zeros(size, dtype=torch.uint8, device=device) for _ in range(2))
    seconds = time_calls(lambda: target.copy_(source), device, repeats, in_a_row(device))
    yield Measurement.rate("copy.device", 2 * size / 1e9, seconds, "GB/s")
    if device.type != "cuda":
        return
    for name, pinned in (("pageable", False), ("pinned", True)):
        host = torch.zeros(size, dtype=torch.uint8, pin_memory=pinned)
        seconds = time_calls(lambda host=host: target.copy_(host, non_blocking=True), device, repeats, in_a_row(device))  # type: ignore[misc]
        yield Measurement.rate(f"copy.{name}", size / 1e9, seconds, "GB/s")
