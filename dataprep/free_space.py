"""How much may still be written to a disk."""

import os
from pathlib import Path

GIB = 2**30


def free_bytes(out: Path) -> int | None:
    """Bytes that may still be written where ``out`` will lie, in a folder that need not exist yet.

    None where the file system does not say.
    """
    place = out.absolute().parent
    while not place.exists():
        place = place.parent
    disk = os.statvfs(place)
    return disk.f_bavail * disk.f_frsize if disk.f_blocks else None
