"""How many threads each process decodes with."""

import os

import numba

from dataprep.notes import note


def decoding_threads(wanted: int | None, sharers: int) -> int:
    """How many decoding threads a process gets: as many as wanted, but no more than the cores that it may use.

    NUMBA_NUM_THREADS, where it is set to less than the number of cores, counts as that number.

    Args:
        wanted: the setting ``data.workers``; None shares out the cores evenly among the processes.
        sharers: processes of the run on the same cores.
    """
    cores = min(len(os.sched_getaffinity(0)), numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    if wanted is None:
        return max(1, cores // sharers)
    if wanted > cores:
        note(f"data.workers is {wanted}, but this process may use {cores} cores; taking {cores}", once=True)
    return min(wanted, cores)
