"""The system's limit on the files that this process may have open at once."""

import os
import resource

SPARE = 16
"""Descriptors left for images, logs, checkpoints and connections to other processes."""


def open_file_limit(wanted: int) -> int:
    """Makes room for more open files: raises the soft limit to the hard one where it is too low.

    Args:
        wanted: how many files are to be opened beside those that are open now, and ``SPARE`` others.

    Returns:
        How many of them there is room for, at most ``wanted``.
    """
    needed = len(os.listdir("/proc/self/fd")) + SPARE + wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _below(soft, needed) and soft != hard:
        soft = hard
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted - (needed - soft) if _below(soft, needed) else wanted


def _below(limit: int, needed: int) -> bool:
    return limit != resource.RLIM_INFINITY and limit < needed
