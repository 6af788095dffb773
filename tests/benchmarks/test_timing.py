"""Durations are of the calls, without those that warm up."""

import time

import torch

from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.options import bench_parser
from vicregl_fast.benchmarks.timing import WARM_UP_CALLS, time_calls, time_side_by_side


def test_durations_are_of_single_calls() -> None:
    done = []

    def call() -> None:
        done.append(None)
        time.sleep(0.5 if len(done) <= WARM_UP_CALLS else 0.02)

    seconds = time_calls(call, torch.device("cpu"), repeats=3, calls=10)
    assert len(done) == WARM_UP_CALLS + 3 * 10
    assert len(seconds) == 3 and all(0.02 <= duration < 0.15 for duration in seconds)


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
    assert "prepared ahead" in parser.parse_args(["train", "--path", "x"]).warm_up
