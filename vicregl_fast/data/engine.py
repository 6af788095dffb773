"""What training asks of whatever reads, decodes and loads."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol

import numpy as np

from vicregl_fast.data.batches import DecodedBatch, ViewBatch

EngineName = Literal["auto", "ffcv", "dali", "torchvision"]


class Store(Protocol):
    """Images in their order, with labels int64 [n] and the names of their classes where there are any."""

    @property
    def path(self) -> Path: ...

    @property
    def labels(self) -> np.ndarray | None: ...

    @property
    def classes(self) -> tuple[str, ...] | None: ...

    def __len__(self) -> int: ...


class Engine(Protocol):
    """Turns sample indices, int64 [b], into whole decoded images, whose memory it may use again for the next batch."""

    def decode(self, indices: np.ndarray) -> DecodedBatch: ...


class BatchLoader(Protocol):
    """The view batches of one epoch; entered before it is iterated over, and left when no more of it is wanted.

    ``waited``: seconds that the consumer has spent waiting here.
    """

    waited: float

    def __enter__(self) -> "BatchLoader": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __iter__(self) -> Iterator[ViewBatch]: ...


class Feed(Protocol):
    """A store, and how its images become view batches."""

    @property
    def store(self) -> Store: ...

    def loader(self, batches: Iterable[np.ndarray], epoch: int) -> BatchLoader:
        """View batches of these sample indices, int64 [b] each, with the random choices of ``epoch``."""
