"""Durations are of the calls, without those that warm up."""

import time

import torch

from vicregl_fast.benchmarks.timing import WARM_UP_CALLS, time_calls


def test_durations_are_of_single_calls() -> None:
    done = []

    def call() -> None:
        done.append(None)
        time.sleep(0.5 if len(done) <= WARM_UP_CALLS else 0.02)

    seconds = time_calls(call, torch.device("cpu"), repeats=3, calls=2)
    assert len(done) == WARM_UP_CALLS + 3 * 2
    assert len(seconds) == 3 and all(0.02 <= duration < 0.4 for duration in seconds)
