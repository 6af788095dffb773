"""The table and the file that an evaluation writes."""

import json
from pathlib import Path

from vicregl_fast.evaluation.report import Row, format_table, write_json

ROWS = [
    Row("trained", {"mIoU": 35.04, "pixel accuracy": 80.0}),
    Row("majority class", {"mIoU": 3.1, "pixel accuracy": 33.25}),
]


def test_the_table_lines_figures_up_under_their_names() -> None:
    assert format_table("linear-seg", ROWS).splitlines() == [
        "linear-seg      mIoU  pixel accuracy",
        "trained         35.0            80.0",
        "majority class   3.1            33.2",
    ]


def test_the_file_names_every_figure(tmp_path: Path) -> None:
    write_json(tmp_path / "out.json", "linear-seg", {"run": Path("runs/a"), "lr": 0.1}, ROWS)
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["settings"] == {"run": "runs/a", "lr": 0.1}
    assert written["results"][0] == {"name": "linear-seg.trained.mIoU", "value": 35.04, "unit": "%"}
    assert written["results"][3]["name"] == "linear-seg.majority_class.pixel_accuracy"
