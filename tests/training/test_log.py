"""Rows survive, and those of steps that will be done again do not."""

import json
import math
from pathlib import Path

from vicregl_fast.training.log import MetricsLog


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_resumed_log_goes_on_after_its_checkpoint(tmp_path: Path) -> None:
    metrics, events = tmp_path / "metrics.jsonl", tmp_path / "tensorboard"
    with MetricsLog(metrics, events, 0) as log:
        for step in (10, 20, 30):
            log.write(step, {"loss": float(step)})
    with open(metrics, "a") as file:
        file.write('{"step": 40, "lo')  # killed while writing
    with MetricsLog(metrics, events, 20) as log:
        log.write(30, {"loss": -1.0})
    assert rows(metrics) == [
        {"step": 10, "loss": 10.0},
        {"step": 20, "loss": 20.0},
        {"step": 30, "loss": -1.0},
    ]
    assert any(events.glob("events.out.tfevents.*"))


def test_what_is_no_number_is_left_out_of_a_row(tmp_path: Path) -> None:
    with MetricsLog(tmp_path / "metrics.jsonl", tmp_path / "tensorboard", 0) as log:
        log.write(4, {"epoch": 1, "loss": math.nan, "val_loss": math.inf})
    assert rows(tmp_path / "metrics.jsonl") == [{"step": 4, "epoch": 1}]


def test_the_last_validation_is_known_again(tmp_path: Path) -> None:
    metrics, events = tmp_path / "metrics.jsonl", tmp_path / "tensorboard"
    with MetricsLog(metrics, events, 0) as log:
        assert log.validated_step == 0
        log.write(4, {"val_loss": 1.0})
        log.write(8, {"val_loss": math.nan})  # done, whatever came out
        assert log.validated_step == 8
        log.write(9, {"loss": 1.0})
    with MetricsLog(metrics, events, 7) as log:
        assert log.validated_step == 4
