"""One batch that is made once, and given again and again."""

from collections.abc import Iterable

import numpy as np

from tests.benchmarks.slow_feed import Clock, SlowFeed
from vicregl_fast.benchmarks.repeated_batch import RepeatedBatchFeed


def test_a_repeated_batch_is_made_once() -> None:
    made: list[list[int]] = []

    class Maker(SlowFeed):
        def loader(self, batches: Iterable[np.ndarray], epoch: int) -> SlowFeed:
            made.extend(indices.tolist() for indices in batches)
            return super().loader(batches, epoch)

    feed = RepeatedBatchFeed(Maker(0.0, Clock()), np.array([3, 1]))  # type: ignore[arg-type]
    for _ in range(2):
        with feed.loader([np.array([0])] * 3, epoch=4) as loader:
            assert [batch.tolist() for batch in loader] == [[3, 1]] * 3  # type: ignore[attr-defined]
            assert loader.waited == 0
    assert made == [[3, 1]]
