"""Signals that ask a run to stop.

The run then finishes its step and saves a checkpoint, and its exit code says whether it should be started again.
"""

import signal
from types import FrameType, TracebackType

from dataprep.stopping import SIGNALS

# EX_TEMPFAIL of sysexits.h: the run was stopped, and the same command continues it. For SLURM's RequeueExit.
REQUEUE_EXIT_CODE = 75
CTRL_C_EXIT_CODE = 128 + signal.SIGINT


def exit_code(received: int | None) -> int:
    """Returns the exit code of a run that this signal stopped: 130 for Ctrl-C (SIGINT), else 75."""
    return CTRL_C_EXIT_CODE if received == signal.SIGINT else REQUEUE_EXIT_CODE


class StopRequest:
    """Records SIGTERM, SIGUSR1 (SLURM's warning), SIGHUP (a closed terminal) and Ctrl-C in a ``with`` block.

    The first Ctrl-C is only recorded; a second one raises KeyboardInterrupt. A SIGHUP that is ignored outside, as under
    nohup, stays ignored.

    Attributes:
        received: number of the last signal, or None if there was none.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "StopRequest":
        for number in SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue
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
