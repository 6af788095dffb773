"""Progress of long work: a bar that moves in a terminal; elsewhere, as in a job's log, a whole line now and then."""

import sys
import time
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 60.0


def progress_bar(iterable: Iterable | None = None, **options: Any) -> tqdm:
    """Makes tqdm's bar of these arguments on stderr.

    Where stderr is no terminal, at most one line a minute is printed, and one at the end.
    """
    if sys.stderr.isatty():
        return _Bar(iterable, **options)
    return _Bar(iterable, **{**options, "file": _Lines(), "leave": True, "position": 0})


class _Bar(tqdm):
    def __del__(self) -> None:
        if hasattr(self, "pos"):  # else a signal that ends the program came while it was being made
            super().__del__()


class _Lines:
    """A file that makes lines on stderr of a bar: tqdm draws it again and again, and ends it with a line feed."""

    def __init__(self) -> None:
        self._drawn = ""
        self._printed_at = time.monotonic()

    def write(self, text: str) -> None:
        self._drawn = text.strip("\r\n ") or self._drawn
        if text == "\n" or time.monotonic() - self._printed_at >= SECONDS_BETWEEN_LINES:
            print(self._drawn, file=sys.stderr, flush=True)
            self._printed_at = time.monotonic()

    def flush(self) -> None:
        """Lines are flushed when they are printed."""
