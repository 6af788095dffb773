"""What training asks of whatever reads, decodes and loads."""

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Protocol

import numpy as np

from vicregl_fast.augment.decoded_batch import DecodedBatch
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.store import Store

BATCHES_HELD = 2
"""Batches that an engine keeps whole: the loader copies one to the device while the next is decoded."""


class Engine(Protocol):
    """Turns sample indices into whole decoded images."""

    @property
    def store(self) -> Store: ...

    def decode(self, indices: np.ndarray) -> DecodedBatch:
        """The images of these samples, int64 [b].

        The engine may use a batch's memory again from the ``BATCHES_HELD``-th call after it on.

        Raises:
            Undecodable: an image does not decode.
        """
        ...


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
