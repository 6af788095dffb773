"""Names a process of any machine, so that another program can tell whether it still runs."""

import hashlib
import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_INITIAL_NAMESPACE = "pid:[4026531836]"  # of process numbers; the same on every Linux, outside of containers


@dataclass(frozen=True)
class ProcessIdentity:
    """One process. A later one to which the system gives the same number is another.

    Attributes:
        machine: of the process, as ``this_machine`` names it.
        pid: its number there.
        started: when it started, in the machine's clock ticks since boot; 0 where that cannot be read.
    """

    machine: str
    pid: int
    started: int

    def __str__(self) -> str:
        return f"{self.machine}-{self.pid}-{self.started}"

    @classmethod
    def parse(cls, text: str) -> "ProcessIdentity":
        """Reads what ``str`` gives.

        Raises:
            ValueError: it is something else.
        """
        machine, pid, started = text.split("-")
        return cls(machine, int(pid), int(started))

    def runs(self) -> bool | None:
        """Whether the process still runs; None for a process of another machine, of which that is not known."""
        if self.machine != this_machine():
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # it is another user's
        started = _start(self.pid)
        return started >= 0 and (started == self.started or 0 in (started, self.started))


def this_process() -> ProcessIdentity:
    """The identity of the process that calls this."""
    return ProcessIdentity(this_machine(), os.getpid(), _start(os.getpid()))


@cache
def this_machine() -> str:
    """A short name of this machine, or of the container that we run in; it holds no ``-`` and no ``.``."""
    namespace = _link("/proc/self/ns/pid")
    parts = [socket.gethostname(), _text("/etc/machine-id"), namespace]
    if namespace != _INITIAL_NAMESPACE:  # containers of two machines may otherwise be alike
        parts.append(this_hardware())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def this_hardware() -> str:
    """Names this machine alike in all of its containers, until it is started again."""
    return _text("/proc/sys/kernel/random/boot_id") or socket.gethostname()


def _start(pid: int) -> int:
    """When a process started, in clock ticks since boot; -1 if it has ended, 0 if that cannot be read."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    state, *fields = stat.rpartition(")")[2].split()
    return -1 if state in "ZX" else int(fields[18])


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
