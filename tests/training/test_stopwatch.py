"""The parts of a step, by a clock that the test turns."""

from types import SimpleNamespace

import pytest
import torch

from vicregl_fast.training import stopwatch
from vicregl_fast.training.stopwatch import UNWATCHED, Stopwatch


def test_parts_are_measured_and_add_up_where_they_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=10.0)
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: clock.now)
    watch = Stopwatch(torch.device("cpu"))
    for part, lasts in (("forward", 1.0), ("loss", 0.5), ("forward", 2.0), ("backward", 4.0)):
        watch.mark(part)
        clock.now += lasts
    watch.stop()
    clock.now += 100
    assert watch.seconds() == {"seconds_forward": 3.0, "seconds_loss": 0.5, "seconds_backward": 4.0}


def test_nothing_is_measured_where_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: pytest.fail("asked for the time"))
    UNWATCHED.mark("forward")
    UNWATCHED.stop()
    assert UNWATCHED.seconds() == {}
