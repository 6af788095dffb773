"""Times calls, including the work that they start on a GPU."""

import time
from collections.abc import Callable, Mapping

import torch

from vicregl_fast.devices import synchronize

WARM_UP_CALLS = 3


def time_calls(
    call: Callable[[], object], device: torch.device, repeats: int, calls: int = 1, warm_up: int = WARM_UP_CALLS
) -> list[float]:
    """Measures ``repeats`` durations of a call, in seconds, after ``warm_up`` calls that are not timed.

    Each is the mean over ``calls`` calls, made one after the other before the device is waited for. So work that a GPU
    takes longer to do than the CPU to launch is timed as it runs within a training step: without waiting in between.
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
    """Measures ``repeats`` durations of every call, in seconds, by name.

    The calls take turns, so that what slows the machine down slows all of them.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(1 + repeats):
        for name, call in calls.items():
            duration = time_calls(call, device, 1, warm_up=0)
            if turn > 0:  # the first turn is a warm-up
                seconds[name] += duration
    return seconds
