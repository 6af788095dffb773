"""A mistyped command ends in one sentence, whichever program it was for; words of options join by either sign."""

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest

from dataprep.__main__ import main as dataprep
from dataprep.command_line import SentenceParser, output_file, with_underscores
from dataprep.commands import parser as dataprep_parser
from dataprep.errors import UserError
from vicregl_fast import evaluate, visualize
from vicregl_fast.bench import main as bench
from vicregl_fast.benchmarks.options import bench_parser
from vicregl_fast.config import config_parser, parse_config
from vicregl_fast.export import main as export
from vicregl_fast.train import main as train
from vicregl_fast.visualization.options import visualize_parser
from vicregl_fast.weights.options import export_parser


@pytest.mark.parametrize(
    ("program", "arguments", "words"),
    [
        (evaluate.main, ["knn", "--run", "x"], "--train"),
        (visualize.main, ["matches"], "--run"),
        (visualize.main, ["views", "--path", "x", "--count", "0"], "0 is too few"),
        (export, ["run", "out.pth"], "--to"),
        (export, ["run", "out.pth", "--to", "timm", "--over"], "--over"),
        (bench, ["augment", "--batch", "many"], "--batch"),
        (bench, ["augment", "--bat", "3"], "--bat"),  # an option that is cut short is none
        (dataprep, ["ffcv"], "SOURCE"),
        (dataprep, ["ffcv", "", "b.beton"], "argument SOURCE: it is empty, and a path is needed"),
        (evaluate.main, ["knn", "--run", "", "--train", "x", "--test", "x"], "it is empty"),
        (evaluate.main, ["knn", "--run", "x", "--train", "x", "--test", "x", "--json="], "it is empty"),
        (visualize.main, ["curves", "x", "--out", "x.txt"], "end it in .png, .pdf, .svg"),
        (visualize.main, ["curves", "x", "--out", "/dev/null"], "end it in .png"),
        (dataprep, ["ffcv", "a", "b.beton", "--over"], "--over"),
    ],
)
def test_mistakes_are_one_sentence(
    program: Callable, arguments: list[str], words: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as stopped:
        program(arguments)
    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert error.startswith("error: ") and error.count("\n") == 1 and words in error


def test_training_says_its_mistakes_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("sys.argv", ["train", "--epocs", "3"])
    with pytest.raises(SystemExit) as stopped:
        train()
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and error.startswith("error: ") and error.count("\n") == 1 and "--epocs" in error


def test_the_home_folder_is_known_behind_an_equals_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/x")
    options = evaluate.evaluate_parser().parse_args(["knn", "--run=~/r", "--train=~/a~b", "--test", "~x"])
    assert [str(path) for path in (*options.run, options.train, options.test)] == ["/home/x/r", "/home/x/a~b", "~x"]


def test_words_of_an_option_join_by_either_sign() -> None:
    given = ["--batch-size", "8", "--data.val-path=a-b/c-d", "-x", "--run_dir", "a-b", "--", "--not-an-option"]
    spelt = ["--batch_size", "8", "--data.val_path=a-b/c-d", "-x", "--run_dir", "a-b", "--", "--not-an-option"]
    assert with_underscores(given) == spelt


def test_every_command_takes_both_spellings() -> None:
    for size in ("--batch-size=8", "--batch_size=8"):
        assert parse_config([size, "--data.val-path", "x-y"]).batch_size == 8
    for parser, words in (
        (evaluate.evaluate_parser(), "knn --run r --train a --test b --train{0}list l --batch{0}size 8"),
        (bench_parser(None), "step --precisions fp32 --batch 4"),
        (dataprep_parser(), "ffcv a b.beton --max{0}side 100 --on{0}error skip"),
    ):
        first, second = (vars(parser.parse_args(words.format(sign).split())) for sign in "-_")
        assert first == second


def subparsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    choices = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [parser, *(each for named in choices for each in named.values())]


def test_helps_show_one_spelling() -> None:
    made = [parser(None) for parser in (visualize_parser, bench_parser, export_parser)]
    programs = (evaluate.evaluate_parser(), dataprep_parser(), config_parser(), *made)
    shown = [
        option
        for program in programs
        for parser in subparsers(program)
        for action in parser._actions
        for option in action.option_strings
    ]
    assert len(shown) > 100 and not [option for option in shown if "-" in option.lstrip("-")]


def test_an_output_that_could_not_be_written_is_refused_first(tmp_path: Path) -> None:
    parser = SentenceParser()
    parser.add_argument("--json", type=output_file)
    assert parser.parse_args(["--json", str(tmp_path / "new.json")]).json == tmp_path / "new.json"
    for path, words in ((tmp_path / "missing" / "new.json", "make the folder"), (tmp_path, "is a folder")):
        with pytest.raises(UserError, match=words):
            parser.parse_args(["--json", str(path)])
