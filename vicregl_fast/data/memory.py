"""Checks before a run starts whether its buffers, and the store that it reads, fit into memory."""

from pathlib import Path

import torch

from dataprep.errors import UserError
from dataprep.free_space import GIB
from dataprep.notes import note

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")  # version 2, as a container sees its own; version 1's limits are not read


def available_memory() -> int:
    """Bytes of memory that programs may still take: those of the system, or of the container where these are fewer.

    Page cache that can be dropped counts as available.
    """
    fields = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
    available = int(fields["MemAvailable"].split()[0]) * 1024
    limit, used = _CGROUP / "memory.max", _CGROUP / "memory.current"
    if limit.exists() and (text := limit.read_text().strip()) != "max":
        cached = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())["inactive_file"]
        available = min(available, int(text) - int(used.read_text()) + int(cached))
    return available


def free_memory(device: torch.device) -> int:
    """Bytes that may still be taken on a GPU; on a CPU, ``available_memory``."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_memory()


def check_memory(buffers: int, store: Path, in_blocks: bool) -> None:
    """Checks that the buffers fit into memory, and warns if the store's page cache does not fit beside them.

    All processes of a machine share that page cache.

    Args:
        buffers: bytes of the buffers of all processes of this machine.
        store: file or folder that is read once every epoch.
        in_blocks: whether the store is read in the order ``blocks``, for which it need not fit.

    Raises:
        UserError: the buffers alone do not fit.
    """
    available = available_memory()
    if buffers > available:
        raise UserError(
            f"decoding needs buffers of {buffers / GIB:.1f} GiB and {available / GIB:.1f} GiB of memory are available; "
            "choose a smaller --batch_size, or convert the images with a smaller --max_side"
        )
    size = sum(file.stat().st_size for file in (store.iterdir() if store.is_dir() else (store,)))
    if size + buffers > available and not in_blocks:
        note(
            f"{store} has {size / GIB:.1f} GiB, and {(available - buffers) / GIB:.1f} GiB of memory are left to "
            "hold it: every epoch will read it from all over the disk; --data.order blocks reads some places at a time"
        )
