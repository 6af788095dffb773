"""Figures are what their samples say, and survive the way through a file."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from dataprep.errors import UserError
from vicregl_fast.benchmarks.measurements import (
    Measurement,
    format_measurements,
    read_file,
    read_measurements,
    write_measurements,
)
from vicregl_fast.environment import describe_environment
from vicregl_fast.evaluation.report import Row, write_json


def test_median_rate_and_ratio() -> None:
    assert Measurement.of("a", [3.0, 1.0, 2.5], "s") == Measurement("a", 2.5, "s", 3, 1.0, 3.0)
    assert Measurement.rate("r", 64, [0.5, 2.0, 1.0], "images/s") == Measurement("r", 64.0, "images/s", 3, 32.0, 128.0)
    assert Measurement.ratio("q", 6.0, 4.0).value == 1.5


def test_a_speedup_is_of_the_turns_and_not_of_medians() -> None:
    assert Measurement.speedup("q", [1.0, 2.0, 6.0], [2.0, 8.0, 6.0]) == Measurement("q", 2.0, "x", 3, 1.0, 4.0)


def test_what_the_file_of_measurements_holds(tmp_path: Path) -> None:
    rows = [Measurement.of("loss.global", [0.25, 0.75], "s"), Measurement.ratio("loss.global_speedup", 3, 2)]
    path = tmp_path / "loss.json"
    write_measurements(
        path, describe_environment(torch.device("cpu"), "vicregl_fast.bench", ["loss", "--json", "a b"]), rows
    )
    content = json.loads(path.read_text())
    assert content["results"][0] == {
        "name": "loss.global", "value": 0.5, "unit": "s", "n": 2, "min": 0.25, "max": 0.75
    }  # fmt: skip
    environment = content["environment"]
    assert environment["device"] == "cpu" and environment["cores"] >= 1
    assert environment["versions"]["torch"] == version("torch")
    assert environment["command"] == "python -m vicregl_fast.bench loss --json 'a b'"
    assert read_measurements(path) == rows and read_file(path) == (environment, rows)
    assert list(tmp_path.iterdir()) == [path]


def test_figures_of_a_judgement_are_read_too(tmp_path: Path) -> None:
    rows = [Row("trained", {"mIoU": [40.0, 44.0, 48.0]}), Row("majority class", {"mIoU": [2.5]})]
    write_json(tmp_path / "seg.json", "linear-seg", {}, rows, ["linear-seg"])
    environment, read = read_file(tmp_path / "seg.json")
    assert environment["command"] == "python -m vicregl_fast.evaluate linear-seg"
    assert read == [
        Measurement("linear-seg.trained.mIoU", 44.0, "%", 3, 40.0, 48.0),
        Measurement("linear-seg.majority_class.mIoU", 2.5, "%", 1, 2.5, 2.5),
    ]


def test_the_table_shows_ranges_where_there_are_samples() -> None:
    lines = format_measurements([Measurement.of("copy.device", [1.0, 3.0], "GB/s"), Measurement.ratio("x", 1, 4)])
    first, second = lines.splitlines()
    assert first.split() == ["copy.device", "2", "GB/s", "(1", "to", "3,", "n", "=", "2)"]
    assert second.split() == ["x", "0.25", "x"]
    assert format_measurements([Measurement.ratio("x", 1, 4)], width=11) == second and format_measurements([]) == ""


@pytest.mark.parametrize("content", [None, "{", '{"results": [{"name": "a"}]}', "[]"])
def test_what_is_no_result_is_said(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match="does not hold measurements"):
        read_measurements(path)


@pytest.mark.parametrize(
    "content",
    [
        '{"results": [{"name": "a", "value": null, "unit": "s"}]}',
        '{"results": [{"name": "a", "value": "1", "unit": "s"}]}',
        '{"results": [{"name": 3, "value": 1, "unit": "s"}]}',
        '{"results": [{"name": "a", "value": 1, "unit": null}]}',
        '{"results": [{"name": "a", "value": 1, "unit": "s", "n": "2", "min": 1, "max": 1}]}',
        '{"results": [{"name": "a", "value": 1, "unit": "s", "n": 2, "min": 2, "max": 3}]}',
        '{"results": [], "environment": {"versions": ["torch"]}}',
        '{"results": [], "environment": {"measured": [1]}}',
        '{"results": [], "environment": {"processes": 3}}',
        '{"results": [], "environment": [1]}',
        '{"results": ' + "[" * 100_000,
        "[1, 2]",
        "",
    ],
)
def test_what_others_wrote_is_one_sentence(content: str, tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text(content)
    with pytest.raises(UserError, match=r"odd\.json does not hold measurements"):
        read_file(tmp_path / "odd.json")
