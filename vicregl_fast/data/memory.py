"""Whether what a run reads and holds fits into memory, seen before it starts."""

from pathlib import Path

from dataprep.errors import UserError
from dataprep.notes import note

GIB = 2**30
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")  # version 2; a limit of version 1 is not seen


def available_memory() -> int:
    """Bytes that programs may still take, page cache that can be dropped included: the system's, or a container's."""
    fields = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
    available = int(fields["MemAvailable"].split()[0]) * 1024
    limit, used = _CGROUP / "memory.max", _CGROUP / "memory.current"
    if limit.exists() and (text := limit.read_text().strip()) != "max":
        cached = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())["inactive_file"]
        available = min(available, int(text) - int(used.read_text()) + int(cached))
    return available


def check_memory(buffers: int, store: Path, in_blocks: bool) -> None:
    """Looks whether buffers and the store's page cache fit; processes of a node share that cache.

    Args:
        buffers: bytes of all processes of this machine.
        store: which is read again every epoch.
        in_blocks: whether it is read some places at a time, so that it need not fit.

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
