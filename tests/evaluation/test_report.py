"""The table and the file that an evaluation writes."""

import json
from pathlib import Path

from vicregl_fast.evaluation.report import Row, format_details, format_table, write_json

ROWS = [
    Row("trained", {"mIoU": [35.04], "pixel accuracy": [80.0]}),
    Row("majority class", {"mIoU": [3.1], "pixel accuracy": [33.25]}),
    Row("paper: resnet50", {"mIoU": [54.0]}),
]


def test_the_table_lines_figures_up_under_their_names() -> None:
    assert format_table("linear-seg", ROWS).splitlines() == [
        "linear-seg       mIoU  pixel accuracy",
        "trained          35.0            80.0",
        "majority class    3.1            33.2",
        "paper: resnet50  54.0               -",
    ]


def test_details_have_a_table_of_their_own() -> None:
    rows = [
        Row("trained", {"mIoU": [30.0, 40.0], "IoU/sea": [10.0, 20.0], "IoU/sky": [50.0, 60.0]}),
        Row("majority class", {"mIoU": [5.0], "IoU/sky": [15.0], "IoU/car": [0.0]}),
        Row("paper", {"mIoU": [54.0]}),
    ]
    assert [line.split() for line in format_table("linear-seg", rows).splitlines()] == [
        ["linear-seg", "mIoU"], ["trained", "35.0", "±7.1"], ["majority", "class", "5.0"], ["paper", "54.0"],
    ]  # fmt: skip
    order = ["IoU/car", "IoU/sea", "IoU/bird", "IoU/sky"]
    assert format_details("class", rows, order).splitlines() == [
        "class      trained  majority class",
        "IoU/car          -             0.0",
        "IoU/sea  15.0 ±7.1               -",
        "IoU/sky  55.0 ±7.1            15.0",
    ]


def test_several_seeds_are_a_mean_and_a_spread(tmp_path: Path) -> None:
    rows = [Row("a", {"accuracy": [70.0, 72.0, 74.0]}), Row("b", {"accuracy": [9.0]})]
    assert format_table("knn", rows).splitlines() == [
        "knn   accuracy",
        "a    72.0 ±2.0",
        "b          9.0",
    ]
    write_json(tmp_path / "out.json", "knn", {}, rows, [])
    first, second = json.loads((tmp_path / "out.json").read_text())["results"]
    assert first == {
        "name": "knn.a.accuracy", "value": 72.0, "unit": "%", "spread": 2.0, "values": [70.0, 72.0, 74.0],
    }  # fmt: skip
    assert second == {"name": "knn.b.accuracy", "value": 9.0, "unit": "%"}


def test_what_was_decided_stands_in_the_file(tmp_path: Path) -> None:
    decided = [{"lr": 0.1, "from": Path("x")}, {"lr": 0.2, "from": Path("x")}]
    rows = [Row("a", {"accuracy": [70.0, 72.0]}, decided, {"backbone": "resnet18", "output_stride": 8}), *ROWS[1:]]
    write_json(tmp_path / "out.json", "linear", {}, rows, [], "Ctrl-C")
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["judged"] == {"a": [{"lr": 0.1, "from": "x"}, {"lr": 0.2, "from": "x"}]}
    assert written["backbones"] == {"a": {"backbone": "resnet18", "output_stride": 8}}
    environment = written["environment"]
    assert environment["complete"] is False and environment["stopped_by"] == "Ctrl-C"


def test_the_file_names_every_figure_and_where_it_was_measured(tmp_path: Path) -> None:
    settings = {"run": [Path("runs/a")], "lr": 0.1}
    write_json(tmp_path / "out.json", "linear-seg", settings, ROWS, ["linear-seg", "--lr", "0.1"])
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["settings"] == {"run": ["runs/a"], "lr": 0.1} and written["judged"] == {}
    assert written["environment"]["complete"] is True and "stopped_by" not in written["environment"]
    assert written["results"][0] == {"name": "linear-seg.trained.mIoU", "value": 35.04, "unit": "%"}
    assert written["results"][3]["name"] == "linear-seg.majority_class.pixel_accuracy"
    assert written["environment"]["command"] == "python -m vicregl_fast.evaluate linear-seg --lr 0.1"
    assert "torch" in written["environment"]["versions"]
