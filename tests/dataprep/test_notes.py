"""Notes go to stderr, from one process of a run."""

import pytest

from dataprep.notes import mute_notes, note, notes_about


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


def test_notes_say_what_they_are_about_but_those_that_concern_all(capsys: pytest.CaptureFixture) -> None:
    with notes_about("run a"):
        note("it is slow")
        note("images are few", once=True)
    note("the end")
    assert capsys.readouterr().err == "note: run a: it is slow\nnote: images are few\nnote: the end\n"
