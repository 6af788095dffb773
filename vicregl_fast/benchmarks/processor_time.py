"""How long the processors have worked for this program."""

import os
import time
from contextlib import suppress
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PARENT, _USER, _SYSTEM = 1, 11, 12  # fields of /proc/PID/stat behind the name


def processor_seconds() -> float:
    """Seconds of all threads of this process, and of its children that run (to a hundredth of a second)."""
    return time.process_time() + sum(_of_child(folder) for folder in Path("/proc").iterdir() if folder.name.isdigit())


def _of_child(folder: Path) -> float:
    """Seconds of the process of this folder, if it is a child of this one; 0 for others."""
    with suppress(OSError):  # it may have ended
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        if int(fields[_PARENT]) == os.getpid():
            return (int(fields[_USER]) + int(fields[_SYSTEM])) * _TICK
    return 0.0
