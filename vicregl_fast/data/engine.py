"""The interfaces between training and what reads, decodes and loads images."""

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Protocol

import numpy as np

from vicregl_fast.augment.decoded_batch import DecodedBatch
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.store import Store

BATCHES_HELD = 2
"""How many decoded batches an engine keeps intact: the loader copies one to the device while the next is decoded."""


class Engine(Protocol):
    """Turns sample indices into whole decoded images."""

    @property
    def store(self) -> Store: ...

    def decode(self, indices: np.ndarray) -> DecodedBatch:
        """Decodes the images of some samples.

        The engine may overwrite a batch's memory from the ``BATCHES_HELD``-th later call on.

        Args:
            indices: sample indices, int64 [b].

        Raises:
            Undecodable: an image does not decode.
        """
        ...


class BatchLoader(Protocol):
    """A context manager over the view batches of one epoch: enter it, iterate, leave it when no more is wanted.

    Attributes:
        waited: seconds that the consumer has spent waiting for batches.
        gives_up: asked while a batch has been waited for in vain for some seconds; if true, the iteration ends early.
    """

    waited: float
    gives_up: Callable[[], bool]

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
        """Loads the view batches of one epoch.

        Args:
            batches: the sample indices of every step, int64 [b] each.
            epoch: decides the random choices of the views.
        """
