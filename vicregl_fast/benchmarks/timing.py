"""Times calls, including the work that they start on a GPU."""

import time
from collections.abc import Callable, Mapping

import torch

from vicregl_fast.devices import synchronize

WARM_UP_CALLS = 3
IN_A_ROW = 3


def in_a_row(device: torch.device) -> int:
    """How many calls in a row make one duration of work that training launches ahead: several on a GPU, else one."""
    return IN_A_ROW if device.type == "cuda" else 1


def time_calls(
    call: Callable[[], object], device: torch.device, repeats: int, calls: int = 1, warm_up: int = WARM_UP_CALLS
) -> list[float]:
    """Measures ``repeats`` durations of a call, in seconds, after ``warm_up`` calls that are not timed.

    Each is the mean over ``calls`` calls, made one after the other before the device is waited for. So work that a GPU
    takes longer to do than the CPU to launch is timed as it runs within a training step: without waiting in between.
    Several calls on a GPU are timed by events in its stream, while it is busy with one more call that goes before them.
    """
    for _ in range(warm_up):
        call()
    measure = _by_events if device.type == "cuda" and calls > 1 else _by_the_clock
    return [measure(call, device, calls) / calls for _ in range(repeats)]


def time_side_by_side(
    calls: Mapping[str, Callable[[], object]],
    device: torch.device,
    repeats: int,
    calls_in_a_row: int = 1,
    warm_up_turns: int = 1,
    after_turn: Callable[[Mapping[str, list[float]]], None] = lambda seconds: None,
) -> dict[str, list[float]]:
    """Measures ``repeats`` durations of every call, in seconds, by name.

    The calls take turns, so that what slows the machine down slows all of them. In each turn a duration is the mean
    over ``calls_in_a_row`` calls (``time_calls``); the first ``warm_up_turns`` are not counted. After each other turn
    ``after_turn`` is given what has been measured so far.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(warm_up_turns + repeats):
        for name, call in calls.items():
            duration = time_calls(call, device, 1, calls_in_a_row, warm_up=0)
            if turn >= warm_up_turns:
                seconds[name] += duration
        if turn >= warm_up_turns:
            after_turn(seconds)
    return seconds


def _by_the_clock(call: Callable[[], object], device: torch.device, calls: int) -> float:
    """Seconds until the device is done."""
    synchronize(device)
    start = time.perf_counter()
    for _ in range(calls):
        call()
    synchronize(device)
    return time.perf_counter() - start


def _by_events(call: Callable[[], object], device: torch.device, calls: int) -> float:
    """Seconds of a GPU's stream from the end of a first call to the end of ``calls`` more."""
    stream = torch.cuda.current_stream(device)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    call()
    start.record(stream)
    for _ in range(calls):
        call()
    end.record(stream)
    end.synchronize()
    return start.elapsed_time(end) / 1e3
