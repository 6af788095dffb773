"""A mistyped command ends in one sentence, whichever program it was for."""

from collections.abc import Callable

import pytest

from dataprep.__main__ import main as dataprep
from vicregl_fast.evaluate import main as evaluate
from vicregl_fast.visualize import main as visualize


@pytest.mark.parametrize(
    ("program", "arguments", "words"),
    [
        (evaluate, ["knn", "--run", "x"], "--train"),
        (visualize, ["matches"], "--run"),
        (dataprep, ["ffcv"], "SOURCE"),
    ],
)
def test_missing_arguments_are_one_sentence(
    program: Callable, arguments: list[str], words: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as stopped:
        program(arguments)
    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert error.startswith("error: ") and error.count("\n") == 1 and words in error
