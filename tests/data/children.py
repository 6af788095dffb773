"""Whether processes that a test has started still run."""

import os

from vicregl_fast.data.worker_pool import WorkerPool


def processes_of(pool: WorkerPool) -> list[int]:
    """Ids of the worker processes that have been forked and not been closed."""
    return [worker.process for worker in pool._workers]


def has_ended(child: int) -> bool:
    """Whether a child process has ended. Its exit status stays there to be collected."""
    try:
        return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True
