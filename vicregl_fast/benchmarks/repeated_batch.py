"""A feed that gives one batch again and again: training without loading."""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from types import TracebackType

import numpy as np

from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.engine import Feed
from vicregl_fast.data.store import Store


class RepeatedBatchFeed:
    """A ``Feed`` of one batch, which another feed makes at the first use.

    Args:
        maker: makes it.
        indices: its samples, int64 [b].
    """

    def __init__(self, maker: Feed, indices: np.ndarray):
        self._maker, self._indices = maker, indices

    @property
    def store(self) -> Store:
        """The store whose images are in the batch."""
        return self._maker.store

    @cached_property
    def _batch(self) -> ViewBatch:
        with self._maker.loader([self._indices], epoch=0) as loader:
            (batch,) = loader
        return batch

    def loader(self, batches: Iterable[np.ndarray], epoch: int) -> "RepeatedBatchLoader":
        """Gives the batch as often as there are ``batches``."""
        return RepeatedBatchLoader(self._batch, batches)


class RepeatedBatchLoader:
    """A ``BatchLoader`` that never lets anyone wait.

    Args:
        batch: what it gives.
        batches: as often as there are of these.
    """

    waited = 0.0

    def __init__(self, batch: ViewBatch, batches: Iterable[np.ndarray]):
        self._batch, self._batches = batch, batches
        self.gives_up: Callable[[], bool] = lambda: False

    def __enter__(self) -> "RepeatedBatchLoader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing runs that would have to end."""

    def __iter__(self) -> Iterator[ViewBatch]:
        for _ in self._batches:
            yield self._batch
