"""A feed that gives the batches of several feeds, in turns, and times whoever consumes them."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import torch

from vicregl_fast.benchmarks.processor_time import processor_seconds
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.engine import BatchLoader, Feed
from vicregl_fast.data.store import Store
from vicregl_fast.devices import synchronize


@dataclass(frozen=True)
class Turn:
    """What the timed steps of one turn took.

    Attributes:
        seconds: of the clock.
        processor_seconds: of all processors, for this process and its children.
        waited: seconds for which the consumer waited for batches.
    """

    seconds: float
    processor_seconds: float
    waited: float


class FeedsInTurns:
    """A ``Feed`` whose loader gives, in every turn, the same batches by each feed, one feed after the other.

    The first turn is not timed: it reads every image once, so that files lie in the system's memory for all feeds. In
    the other turns the first steps are not timed either, in which a feed that has just started gets going.

    Args:
        feeds: by name, in their order in a turn.
        batches: the sample indices of every step, int64 [b] each.
        warm_up: how many steps at the begin of each feed's turn are not timed, at least 1.
        repeats: how many turns are timed.
        device: where the consumer computes.

    Attributes:
        turns: what the timed turns took, by name of the feed.
    """

    def __init__(
        self,
        feeds: Mapping[str, Feed],
        batches: Sequence[np.ndarray],
        warm_up: int,
        repeats: int,
        device: torch.device,
    ):
        assert 1 <= warm_up < len(batches)
        self.feeds, self.batches, self.warm_up, self.repeats, self.device = feeds, batches, warm_up, repeats, device
        self.turns: dict[str, list[Turn]] = defaultdict(list)

    @property
    def store(self) -> Store:
        """The store of the first feed."""
        return next(iter(self.feeds.values())).store

    @property
    def steps(self) -> int:
        """The batches that its loader gives."""
        return (1 + self.repeats) * len(self.feeds) * len(self.batches)

    def loader(self, batches: Iterable[np.ndarray], epoch: int) -> "LoaderInTurns":
        """The loader of all turns; ``batches`` are not used, since every turn has the same ones."""
        return LoaderInTurns(self)


class LoaderInTurns:
    """The ``BatchLoader`` of ``FeedsInTurns``.

    Args:
        of: the feeds, and what is noted of their turns.

    Attributes:
        waited: seconds that the consumer has waited, for batches of any feed.
        gives_up: passed on to each feed's loader.
    """

    def __init__(self, of: FeedsInTurns):
        self.waited = 0.0
        self.gives_up: Callable[[], bool] = lambda: False
        self._of = of

    def __enter__(self) -> "LoaderInTurns":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Each feed's loader is left when its turn ends."""

    def __iter__(self) -> Iterator[ViewBatch]:
        for turn in range(1 + self._of.repeats):
            for name, feed in self._of.feeds.items():
                waited = self.waited
                with feed.loader(self._of.batches, epoch=turn) as loader:
                    loader.gives_up = lambda: self.gives_up()
                    for number, batch in enumerate(loader, 1):
                        self.waited = waited + loader.waited
                        yield batch
                        if number == self._of.warm_up:
                            start = self._now(loader)
                    end = self._now(loader)
                if turn > 0:
                    took = [after - before for before, after in zip(start, end, strict=True)]
                    self._of.turns[name].append(Turn(*took))

    def _now(self, loader: BatchLoader) -> tuple[float, float, float]:
        """The readings of which ``Turn`` has the differences."""
        synchronize(self._of.device)
        return time.perf_counter(), processor_seconds(), loader.waited
