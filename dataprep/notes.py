"""What a program tells its user besides its results: on stderr, above a progress bar, and once for all processes."""

import sys

from tqdm import tqdm

_muted = False


def note(text: str, every_process: bool = False) -> None:
    """Prints ``note: TEXT``.

    Args:
        text: one sentence.
        every_process: it is about this process alone, so that the others cannot say it in its place.
    """
    if every_process or not _muted:
        tqdm.write(f"note: {text}", file=sys.stderr)


def mute_notes(muted: bool) -> None:
    """Leaves the notes that concern all processes of a run to another one of them."""
    global _muted
    _muted = muted
