"""How many threads a process decodes with."""

import os

import numba

from dataprep.notes import note


def decoding_threads(wanted: int | None, world: int) -> int:
    """Threads for one of ``world`` processes of a machine: at most one a core; by default the cores are shared out.

    NUMBA_NUM_THREADS, where it is set below the cores, counts as their number.
    """
    cores = min(len(os.sched_getaffinity(0)), numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    if wanted is None:
        return max(1, cores // world)
    if wanted > cores:
        note(f"data.workers is {wanted}, but this process may use {cores} cores; taking {cores}")
    return max(1, min(wanted, cores))
