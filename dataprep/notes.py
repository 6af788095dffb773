"""Notes to the user besides the results: printed to stderr, above a progress bar, and by one process of a run only."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

_muted = False
_about = ""
_said: set[str] = set()


def note(text: str, every_process: bool = False, once: bool = False) -> None:
    """Prints ``note: TEXT``.

    Args:
        text: one sentence.
        every_process: print it even in a process whose notes are muted, since it concerns this process only.
        once: print it only if this process has not printed the same note before.
    """
    if once and text in _said:
        return
    if every_process or not _muted:
        _said.add(text)
        tqdm.write(f"note: {'' if once else _about}{text}", file=sys.stderr)


@contextmanager
def notes_about(what: str) -> Iterator[None]:
    """Begins each note of a ``with`` block with what it is about; those printed once concern all."""
    global _about
    before, _about = _about, f"{what}: "
    try:
        yield
    finally:
        _about = before


def mute_notes(muted: bool) -> None:
    """Mutes or unmutes this process's notes that concern all processes of a run: one process prints them for all."""
    global _muted
    _muted = muted
