"""Peak memory of a call: the most that it adds to what was in use before."""

import ctypes
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal

import torch

from dataprep.free_space import GIB
from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.devices import synchronize


class PeakMemory:
    """The most memory that a ``with`` block adds to what was in use before.

    On a GPU this is memory of PyTorch's allocator. On the host it is the process's resident memory, by Linux's
    high-water mark; memory that the process already held and reuses is not seen, nor that of other processes. One
    block within another one ends the outer one's measurement on the host.

    Args:
        device: where the block computes.
        of: ``host`` or ``device`` leaves the other one alone, so that a block that measures it may be around this one.

    Attributes:
        host: bytes, after the block; None where the high-water mark cannot be reset, as in some sandboxes.
        device: bytes on a GPU, after the block; None on a CPU.
    """

    def __init__(self, device: torch.device, of: Literal["both", "host", "device"] = "both"):
        self.host: int | None = None
        self.device: int | None = None
        self._device, self._of = device, of
        self._on_device: int | None = None
        self._on_host: int | None = None

    def __enter__(self) -> "PeakMemory":
        if self._device.type == "cuda" and self._of != "host":
            synchronize(self._device)
            torch.cuda.reset_peak_memory_stats(self._device)
            self._on_device = torch.cuda.memory_allocated(self._device)
        if self._of != "device":
            ctypes.CDLL(None).malloc_trim(0)
            with suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5")
                self._on_host = _status_bytes("VmRSS")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._on_device is not None:
            synchronize(self._device)
            self.device = torch.cuda.max_memory_allocated(self._device) - self._on_device
        if self._on_host is not None:
            self.host = _status_bytes("VmHWM") - self._on_host

    def rows(self, name: str) -> Iterator[Measurement]:
        """``memory_rows`` of this block."""
        return memory_rows(name, self.device, self.host)


def with_peak_memory(rows: Iterable[Measurement], name: str, device: torch.device) -> Iterator[Measurement]:
    """The rows of a part of ``bench``, and after them the peak memory of the whole of it, as ``PeakMemory.rows``."""
    with PeakMemory(device) as peaks:
        yield from rows
    yield from peaks.rows(name)


def memory_rows(name: str, device: int | None, host: int | None) -> Iterator[Measurement]:
    """``NAME.peak_memory`` of a GPU and ``NAME.peak_host_memory``, in GiB, of bytes; what is not known is left out."""
    for suffix, peak in (("peak_memory", device), ("peak_host_memory", host)):
        if peak is not None:
            yield Measurement.of(f"{name}.{suffix}", [peak / GIB], "GiB")


def peak_bytes(call: Callable[[], object], device: torch.device) -> int | None:
    """Calls ``call`` and measures its peak memory on the device in bytes (``PeakMemory``).

    Returns:
        The bytes, or None where they are not known.
    """
    with PeakMemory(device) as peaks:
        call()
    return peaks.host if device.type == "cpu" else peaks.device


def _status_bytes(key: str) -> int:
    """An entry of this process's status, which Linux gives in KiB, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {key}")
