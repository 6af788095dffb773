"""Notes go to stderr, from one process of a run."""

import pytest

from dataprep.notes import mute_notes, note


def test_a_muted_process_says_only_what_concerns_itself(capsys: pytest.CaptureFixture) -> None:
    try:
        mute_notes(True)
        note("of all")
        note("of this one", every_process=True)
        mute_notes(False)
        note("of all again")
    finally:
        mute_notes(False)
    assert capsys.readouterr() == ("", "note: of this one\nnote: of all again\n")
