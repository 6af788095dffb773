"""Whether processes that a test has started still run."""

import os


def has_ended(child: int) -> bool:
    """Whether a child process has ended. Its exit status stays there to be collected."""
    try:
        return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True
