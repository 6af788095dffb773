"""A request to stop: the step is finished, a checkpoint written, and the exit code says whether to start again."""

import signal
from types import FrameType, TracebackType

# EX_TEMPFAIL of sysexits.h: stopped from outside, the same command goes on. Name it in SLURM's RequeueExit.
REQUEUE_EXIT_CODE = 75
CTRL_C_EXIT_CODE = 128 + signal.SIGINT


def exit_code(received: int | None) -> int:
    """What a run that was stopped by this signal exits with: 130 after Ctrl-C, else 75."""
    return CTRL_C_EXIT_CODE if received == signal.SIGINT else REQUEUE_EXIT_CODE


class StopRequest:
    """Listens for SIGTERM, SIGUSR1 (SLURM's warning) and Ctrl-C in a ``with`` block.

    Attributes:
        received: the signal's number, or None. A second Ctrl-C interrupts at once.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "StopRequest":
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)
