"""What is read back from metrics.jsonl."""

import json
from pathlib import Path

from vicregl_fast.runs.metrics import read_curves, read_rows

ROWS = [
    {
        "step": 10,
        "epoch": 0.5,
        "loss": 4.0,
        "global_invariance": 1.0,
        "local_feature_variance": 2.0,
        "novel": 7,
    },
    {
        "step": 20,
        "epoch": 1.0,
        "loss": 3.0,
        "global_invariance": 0.5,
        "local_feature_variance": 1.5,
        "novel": 8,
    },
    {"step": 20, "epoch": 1, "val_loss": 3.5, "val_accuracy": 0.25},
]


def write_run(folder: Path, rows: list[dict]) -> Path:
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_every_metric_is_read_with_its_steps(tmp_path: Path) -> None:
    curves = read_curves(write_run(tmp_path, ROWS))
    assert set(curves) == {
        "loss", "global_invariance", "local_feature_variance", "novel", "val_loss", "val_accuracy"
    }  # fmt: skip
    assert curves["loss"].steps.tolist() == [10, 20] and curves["loss"].values.tolist() == [4.0, 3.0]
    assert curves["val_accuracy"].steps.tolist() == [20] and curves["val_accuracy"].values.tolist() == [0.25]


def test_a_step_written_twice_counts_once_and_a_torn_line_not_at_all(tmp_path: Path) -> None:
    write_run(tmp_path, [*ROWS[:2], {"step": 10, "loss": 9.0}])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 30, "lo')
    assert read_curves(tmp_path)["loss"].values.tolist() == [9.0, 3.0]


def test_positions_and_words_are_no_metrics(tmp_path: Path) -> None:
    row = {"step": 3, "epoch": 0.25, "loss": 1.5, "note": "a word"}
    assert set(read_curves(write_run(tmp_path, [row]))) == {"loss"}


def test_what_is_no_row_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2}\n[1]\n{"loss": 3}\n{"step": "4"}\n{"step": 5, "lo')
    assert read_rows(tmp_path / "metrics.jsonl") == [{"step": 1, "loss": 2}]
