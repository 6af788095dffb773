"""A store, an engine and a view maker, ready to be iterated over."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import numba
import numpy as np

from vicregl_fast.data.engine import Engine, Store
from vicregl_fast.data.loader import ViewLoader
from vicregl_fast.data.views import ViewMaker


@dataclass(frozen=True)
class EngineFeed:
    """One store, the engine that decodes its images, and what makes views of them."""

    store: Store
    engine: Engine
    maker: ViewMaker

    def loader(self, batches: Iterable[np.ndarray], epoch: int) -> ViewLoader:
        """View batches of these sample indices, with the random choices of ``epoch``."""
        return ViewLoader(self.engine, self.maker, batches, epoch)


def decoding_threads(wanted: int | None, world: int) -> int:
    """Threads for one of ``world`` processes of a machine: at most one a core; by default the cores are shared out.

    NUMBA_NUM_THREADS, where it is set below the cores, counts as their number.
    """
    cores = min(len(os.sched_getaffinity(0)), numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    if wanted is None:
        return max(1, cores // world)
    if wanted > cores:
        print(f"note: data.workers is {wanted}, but this process may use {cores} cores; taking {cores}")
    return max(1, min(wanted, cores))
