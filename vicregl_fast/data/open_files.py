"""The system's limit on the files that this process may have open at once."""

import os
import resource

SPARE = 16
"""Descriptors left for images, logs, checkpoints and connections to other processes."""


def open_file_limit() -> int | float:
    """How many files this process may have open at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return float("inf") if soft == resource.RLIM_INFINITY else soft


def missing_open_files(wanted: int) -> int:
    """By how much the limit is too low, after it has been raised as far as this process may raise it.

    Args:
        wanted: how many files are to be opened beside those that are open now and ``SPARE`` others.
    """
    needed = len(os.listdir("/proc/self/fd")) + SPARE + wanted
    if open_file_limit() < needed:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return int(max(0, needed - open_file_limit()))
