"""Durations are of the calls, without those that warm up."""

import time
from collections.abc import Mapping

import pytest
import torch

from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.options import bench_parser
from vicregl_fast.benchmarks.timing import IN_A_ROW, WARM_UP_CALLS, in_a_row, time_calls, time_side_by_side


def test_durations_are_of_single_calls() -> None:
    done = []

    def call() -> None:
        done.append(None)
        time.sleep(0.5 if len(done) <= WARM_UP_CALLS else 0.02)

    seconds = time_calls(call, torch.device("cpu"), repeats=3, calls=10)
    assert len(done) == WARM_UP_CALLS + 3 * 10
    assert len(seconds) == 3 and all(0.02 <= duration < 0.15 for duration in seconds)


class Stream:
    """Stands in for a GPU: a call takes it 10 ms, and its clock is read by events."""

    done = 0.0

    def __init__(self, enable_timing: bool = True):
        self.at = 0.0

    def record(self, stream: object) -> None:
        self.at = Stream.done

    def synchronize(self) -> None:
        pass

    def elapsed_time(self, other: "Stream") -> float:
        return other.at - self.at


def test_calls_in_a_row_on_a_gpu_are_timed_by_its_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """One call goes before the first event, so that launching the others does not count."""
    monkeypatch.setattr(torch.cuda, "Event", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    calls: list[None] = []

    def call() -> None:
        calls.append(None)
        time.sleep(0.02)
        Stream.done += 10 if len(calls) % (1 + IN_A_ROW) != 1 else 500

    seconds = time_calls(call, torch.device("cuda", 0), 2, calls=IN_A_ROW, warm_up=0)
    assert seconds == pytest.approx([0.01, 0.01]) and len(calls) == 2 * (1 + IN_A_ROW)
    assert (in_a_row(torch.device("cuda", 0)), in_a_row(torch.device("cpu"))) == (IN_A_ROW, 1)


def test_calls_take_turns_and_their_first_is_not_counted() -> None:
    done: list[str] = []

    def call(name: str, usual: float) -> None:
        done.append(name)
        time.sleep(0.5 if done.count(name) == 1 else usual)

    calls = {"a": lambda: call("a", 0.01), "b": lambda: call("b", 0.1)}
    seconds = time_side_by_side(calls, torch.device("cpu"), repeats=3)
    assert done == ["a", "b"] * 4
    assert all(len(durations) == 3 and max(durations) < 0.4 for durations in seconds.values())
    assert min(seconds["a"]) >= 0.01 and min(seconds["b"]) >= 0.1 > min(seconds["a"])


def test_what_takes_10_ms_is_said_to_take_10_ms() -> None:
    cpu = torch.device("cpu")
    alone = time_calls(lambda: time.sleep(0.01), cpu, repeats=9)
    in_turns = time_side_by_side({"sleep": lambda: time.sleep(0.01)}, cpu, repeats=9)["sleep"]
    for seconds in (alone, in_turns):
        row = Measurement.of("sleep", seconds, "s")
        assert (row.n, row.unit) == (9, "s") and 0.01 <= row.min <= row.value < 0.015
        assert 60 < Measurement.rate("sleep", 1, seconds, "calls/s").value <= 100


def test_what_is_said_of_warm_up_is_what_is_done() -> None:
    parser = bench_parser(None)
    assert parser.parse_args(["show", "x"]).warm_up == "nothing"  # a part that says nothing of it
    assert parser.parse_args(["copy"]).warm_up == f"{WARM_UP_CALLS} calls"
    assert f"mean of {IN_A_ROW} calls in a row" in parser.parse_args(["step"]).timed
    assert "prepared ahead" in parser.parse_args(["train", "--path", "x"]).warm_up


def test_what_is_measured_so_far_is_told_after_each_turn() -> None:
    told: list[dict[str, int]] = []

    def after(seconds: Mapping[str, list[float]]) -> None:
        told.append({name: len(durations) for name, durations in seconds.items()})

    calls = {"a": lambda: None, "b": lambda: None}
    time_side_by_side(calls, torch.device("cpu"), repeats=2, after_turn=after)
    assert told == [{"a": 1, "b": 1}, {"a": 2, "b": 2}]
