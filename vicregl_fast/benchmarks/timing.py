"""Durations with the device's work included."""

import time
from collections.abc import Callable, Mapping

import torch

WARM_UP_CALLS = 3


def synchronize(device: torch.device) -> None:
    """Waits until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def time_calls(
    call: Callable[[], object], device: torch.device, repeats: int, calls: int = 1, warm_up: int = WARM_UP_CALLS
) -> list[float]:
    """Seconds a call, ``repeats`` times, after ``warm_up`` others.

    ``calls`` are given to the device one after the other before it is waited for: what is launched faster than it
    runs is then measured as it runs within a training step.
    """
    for _ in range(warm_up):
        call()
    synchronize(device)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        synchronize(device)
        seconds.append((time.perf_counter() - start) / calls)
    return seconds


def time_side_by_side(
    calls: Mapping[str, Callable[[], object]], device: torch.device, repeats: int
) -> dict[str, list[float]]:
    """Seconds of each call, ``repeats`` times in turns, so that what slows the machine down slows them all."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(1 + repeats):
        for name, call in calls.items():
            duration = time_calls(call, device, 1, warm_up=0)
            if turn > 0:  # the first is to warm up
                seconds[name] += duration
    return seconds
