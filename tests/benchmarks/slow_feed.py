"""A feed that takes a set time for each batch, on a clock that only a test moves."""

from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace

import numpy as np


class Clock:
    """A clock that only ``sleep`` moves, so that no other program's work counts; processors take a quarter of it."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class SlowFeed:
    """Lets the consumer wait for a set time for each batch; a batch is its indices."""

    store = SimpleNamespace()

    def __init__(self, seconds: float, clock: Clock):
        self.seconds, self.clock, self.waited = seconds, clock, 0.0
        self.gives_up: Callable[[], bool] = lambda: False
        self.epochs: list[int] = []

    def loader(self, batches: Iterable[np.ndarray], epoch: int) -> "SlowFeed":
        self.batches, self.waited = batches, 0.0
        self.epochs.append(epoch)
        return self

    def __enter__(self) -> "SlowFeed":
        return self

    def __exit__(self, *error: object) -> None:
        self.batches = ()

    def __iter__(self) -> Iterator[np.ndarray]:
        for number, batch in enumerate(self.batches):
            seconds = 0.2 if number < 1 else self.seconds
            self.clock.sleep(seconds)
            self.waited += seconds
            yield batch
