"""What training asks of whatever reads, decodes and loads."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from dataprep.errors import UserError
from vicregl_fast.augment.decoded_batch import DecodedBatch
from vicregl_fast.data.batches import ViewBatch

EngineName = Literal["auto", "ffcv", "dali", "torchvision"]
ENGINES: tuple[EngineName, ...] = ("ffcv", "dali", "torchvision")
BATCHES_HELD = 2
"""Batches that an engine keeps whole: the loader copies one to the device while the next is decoded."""


class Store(Protocol):
    """Images in their order, with labels int64 [n] and the names of their classes where there are any."""

    @property
    def path(self) -> Path: ...

    @property
    def labels(self) -> np.ndarray | None: ...

    @property
    def classes(self) -> tuple[str, ...] | None: ...

    def __len__(self) -> int: ...


@runtime_checkable
class SizedStore(Store, Protocol):
    """A store that knows its images' sizes in pixels, int64 [n]."""

    @property
    def heights(self) -> np.ndarray: ...

    @property
    def widths(self) -> np.ndarray: ...


class Undecodable(UserError):
    """Images of a store do not decode: these samples."""

    def __init__(self, store: Path, indices: Sequence[int]):
        self.indices = tuple(indices)
        super().__init__(
            f"image {', '.join(map(str, indices))} of {store} does not decode; convert the store again, "
            "or leave such images out with --data.on_error skip"
        )


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


def largest_batch(heights: np.ndarray, widths: np.ndarray, batch_size: int) -> int:
    """Bytes of the decoded images of the ``batch_size`` largest of a store's images."""
    return int(np.sort(heights * widths * 3)[-batch_size:].sum())
