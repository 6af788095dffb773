"""A feed that gives the batches of several feeds, in turns, and times whoever consumes them."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import torch

from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.engine import BatchLoader, Feed
from vicregl_fast.data.store import Store
from vicregl_fast.devices import synchronize


@dataclass(frozen=True)
class Turn:
    """What the timed steps of one turn took.

    Attributes:
        seconds: of the clock.
        waited: seconds for which the consumer waited for batches.
    """

    seconds: float
    waited: float


class FeedsInTurns:
    """A ``Feed`` whose loader gives, in every turn, the same batches by each feed, one feed after the other.

    The first turn is not timed: it reads every image once, so that files lie in the system's memory for all feeds. In
    the other turns a margin of steps at both ends of a feed's part is not timed either, at least as many as the feed
    prepares ahead. So no batch that lay ready when the clock started counts as speed, and the feed prepares as many
    batches as are timed while the clock runs.

    Args:
        feeds: by name, in their order in a turn.
        margins: by name of the feed, the steps that are not timed at each end, at least 1.
        batches: sample indices, int64 [b] each: those of the timed steps, with the largest margin at both ends. A feed
            of a smaller margin is given the middle of them.
        repeats: how many turns are timed.
        device: where the consumer computes.
        after_turn: is given ``turns`` after each that is timed.

    Attributes:
        turns: what the timed turns took, by name of the feed.
    """

    def __init__(
        self,
        feeds: Mapping[str, Feed],
        margins: Mapping[str, int],
        batches: Sequence[np.ndarray],
        repeats: int,
        device: torch.device,
        after_turn: Callable[[Mapping[str, Sequence[Turn]]], None] = lambda turns: None,
    ):
        assert min(margins.values()) >= 1 and 2 * max(margins.values()) < len(batches)
        self.feeds, self.margins, self.repeats, self.device = feeds, margins, repeats, device
        self._batches, self.after_turn = batches, after_turn
        self.turns: dict[str, list[Turn]] = defaultdict(list)

    @property
    def store(self) -> Store:
        """The store of the first feed."""
        return next(iter(self.feeds.values())).store

    @property
    def steps(self) -> int:
        """The batches that its loader gives."""
        return (1 + self.repeats) * sum(len(self.batches_of(name)) for name in self.feeds)

    def batches_of(self, name: str) -> Sequence[np.ndarray]:
        """What a feed is given in every turn: the timed batches, and its margin at both ends."""
        left_out = max(self.margins.values()) - self.margins[name]
        return self._batches[left_out : len(self._batches) - left_out]

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
                waited, margin, batches = self.waited, self._of.margins[name], self._of.batches_of(name)
                window = None
                with feed.loader(batches, epoch=turn) as loader:
                    loader.gives_up = lambda: self.gives_up()
                    for number, batch in enumerate(loader, 1):
                        self.waited = waited + loader.waited
                        yield batch
                        if number == margin:
                            window = _Window(loader, self._of.device)
                        elif number == len(batches) - margin and window is not None and turn > 0:
                            self._of.turns[name].append(window.close())
            if turn > 0:
                self._of.after_turn(self._of.turns)


class _Window:
    """The timed part of a turn; it opens when it is made."""

    def __init__(self, loader: BatchLoader, device: torch.device):
        self._loader, self._device = loader, device
        synchronize(device)
        self._waited = loader.waited
        self._start = time.perf_counter()

    def close(self) -> Turn:
        synchronize(self._device)
        seconds = time.perf_counter() - self._start
        return Turn(seconds, self._loader.waited - self._waited)
