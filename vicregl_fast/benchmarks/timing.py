"""Durations with the device's work included."""

import time
from collections.abc import Callable

import torch

WARM_UP_CALLS = 3


def synchronize(device: torch.device) -> None:
    """Waits until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def time_calls(call: Callable[[], object], device: torch.device, repeats: int, calls: int = 1) -> list[float]:
    """Seconds a call, ``repeats`` times, after three calls to warm up.

    ``calls`` are given to the device one after the other before it is waited for: what is launched faster than it
    runs is then measured as it runs within a training step.
    """
    for _ in range(WARM_UP_CALLS):
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
