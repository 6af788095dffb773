"""Turns are timed for what they are."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from tests.benchmarks.slow_feed import Clock, SlowFeed
from vicregl_fast.benchmarks import feeds_in_turns, training_loop
from vicregl_fast.benchmarks.feeds_in_turns import FeedsInTurns
from vicregl_fast.data.engine import BatchLoader

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(feeds_in_turns, "time", made)
    return made


def test_turns_are_timed_without_their_first_and_last_steps(clock: Clock) -> None:
    """A feed of 10 ms and a consumer of 10 ms take 20 ms a step."""
    feeds = {"slow": SlowFeed(0.01, clock), "fast": SlowFeed(0.0, clock)}
    batches = [np.array([number]) for number in range(9)]
    margins = {"slow": 1, "fast": 2}
    told: list[int] = []
    in_turns = FeedsInTurns(
        feeds,  # type: ignore[arg-type]
        margins,
        batches,
        repeats=2,
        device=CPU,
        after_turn=lambda turns: told.append(len(turns["fast"])),
    )
    assert in_turns.steps == 3 * (7 + 9)
    loader: BatchLoader = in_turns.loader([], epoch=7)
    seen = []
    with loader:
        for batch in loader:
            seen.append(int(batch[0]))  # type: ignore[index]
            clock.sleep(0.01)
    assert seen == [*range(1, 8), *range(9)] * 3 and feeds["slow"].epochs == [0, 1, 2]
    assert loader.waited == pytest.approx(3 * (2 * 0.2 + 6 * 0.01))
    assert set(in_turns.turns) == {"slow", "fast"} and told == [1, 2]
    for name, seconds in (("slow", 0.1), ("fast", 0.05)):
        turns = in_turns.turns[name]
        assert [turn.seconds for turn in turns] == [pytest.approx(seconds)] * 2
        assert [turn.waited for turn in turns] == [pytest.approx(5 * feeds[name].seconds)] * 2


class BurstingFeed(SlowFeed):
    """Eight batches at once every 0.2 s, as eight worker processes make them, kept ready in any number."""

    def __iter__(self) -> Iterator[np.ndarray]:
        start = self.clock.now
        for number, batch in enumerate(self.batches):
            self.clock.sleep(max(0.0, start + 0.2 * (1 + number // 8) - self.clock.now))
            yield batch


@pytest.mark.parametrize("steps", [8, 16])
def test_whole_rounds_of_worker_processes_are_timed_rightly(clock: Clock, steps: int) -> None:
    """40 batches a second, however they come."""
    margin = training_loop.MARGIN
    batches = [np.array([number]) for number in range(margin + steps + margin)]
    in_turns = FeedsInTurns({"bursts": BurstingFeed(0, clock)}, {"bursts": margin}, batches, 1, CPU)  # type: ignore[dict-item]
    with in_turns.loader([], epoch=0) as loader:
        assert sum(1 for _ in loader) == 2 * len(batches)
    (turn,) = in_turns.turns["bursts"]
    assert steps / turn.seconds == pytest.approx(40)
