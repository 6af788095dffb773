"""Signals to stop: the first raises an exception through the whole program, so that unfinished files are removed."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)

_received: signal.Signals | None = None


@contextmanager
def clean_stop() -> Iterator[None]:
    """Within this context, the first of SIGNALS raises SystemExit with 128 plus its number; later ones are ignored.

    A signal that is ignored outside, as SIGHUP is under nohup, stays ignored.
    """
    global _received
    heard = [each for each in SIGNALS if signal.getsignal(each) != signal.SIG_IGN]
    before = {each: signal.signal(each, _stop) for each in heard}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        _received = None


def check_stop() -> None:
    """Raises SystemExit if a signal has been received; loops call it now and then.

    The exception of the signal handler can be lost: where C calls back into Python, as LLVM does while Numba compiles,
    exceptions are dropped.
    """
    if _received is not None:
        raise SystemExit(128 + _received)


def _stop(number: int, frame: FrameType | None) -> None:
    global _received
    if _received is not None:
        return
    _received = signal.Signals(number)
    print(f"\nstopped by {_received.name}; nothing unfinished is left", file=sys.stderr)
    check_stop()
