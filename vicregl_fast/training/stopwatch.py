"""How the time of one step splits into its parts, on the device that does them."""

import time

import torch


class Clock:
    """Is told of the parts of a step, and measures nothing, at no cost."""

    def mark(self, part: str) -> None:
        """Says that the part of this name begins here, and that the one before ends; a part may come again."""

    def stop(self) -> None:
        """Ends the last part."""

    def seconds(self) -> dict[str, float]:
        """Returns ``seconds_forward`` and so on for the parts marked, after ``stop``; waits for the device."""
        return {}


UNWATCHED = Clock()


class Stopwatch(Clock):
    """Measures the parts of one step, on CUDA by events in its stream, and names them in a profile that is taken.

    Args:
        device: where the step is computed.
    """

    def __init__(self, device: torch.device):
        self._device = device
        self._marks: list[tuple[str, float | torch.cuda.Event]] = []
        self._range: torch.profiler.record_function | None = None

    def mark(self, part: str) -> None:
        self._end_range()
        self._marks.append((part, self._now()))
        self._range = torch.profiler.record_function(part)
        self._range.__enter__()

    def stop(self) -> None:
        self._end_range()
        self._marks.append(("", self._now()))

    def seconds(self) -> dict[str, float]:
        seconds: dict[str, float] = {}
        for (part, start), (_, end) in zip(self._marks, self._marks[1:], strict=False):
            name = f"seconds_{part}"
            seconds[name] = seconds.get(name, 0.0) + _between(start, end)
        return seconds

    def _now(self) -> float | torch.cuda.Event:
        if self._device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))
        return event

    def _end_range(self) -> None:
        if self._range is not None:
            self._range.__exit__(None, None, None)
            self._range = None


def _between(start: float | torch.cuda.Event, end: float | torch.cuda.Event) -> float:
    if isinstance(start, float):
        assert isinstance(end, float)
        return end - start
    assert not isinstance(end, float)
    end.synchronize()
    return start.elapsed_time(end) / 1000
