"""What tests ask of processes that they have started, any of which may end while it is asked."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import psutil

from vicregl_fast.data.worker_pool import WorkerPool


def wait_until(happened: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not happened() and time.monotonic() < until:
        time.sleep(0.1)
    return happened()


def processes_of(pool: WorkerPool) -> list[psutil.Process]:
    """The worker processes that have been forked and not been closed."""
    return _found(worker.process for worker in pool._workers)


def running(ids: Iterable[int]) -> list[psutil.Process]:
    """Those of these process ids that have not ended; a later process that was given the same id counts, too."""
    return [process for process in _found(ids) if not has_ended(process)]


def _found(ids: Iterable[int]) -> list[psutil.Process]:
    found = []
    for each in ids:
        with suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(each))
    return found


def has_ended(process: psutil.Process) -> bool:
    """Also where no parent has collected it yet."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def have_ended(processes: Iterable[psutil.Process]) -> bool:
    return all(map(has_ended, processes))


def children(process: psutil.Process, recursive: bool = False) -> list[psutil.Process]:
    """Those that it has at this moment; none once it has ended."""
    with suppress(psutil.NoSuchProcess):
        return process.children(recursive)
    return []


def command_line(process: psutil.Process) -> str:
    """Empty once it has ended."""
    with suppress(psutil.NoSuchProcess):  # ZombieProcess is one
        return " ".join(process.cmdline())
    return ""


def kill_with_children(process: psutil.Process) -> None:
    for each in (*children(process, recursive=True), process):
        with suppress(psutil.NoSuchProcess):
            each.kill()
