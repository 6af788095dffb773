"""Rows survive, and those of steps that will be done again do not."""

import json
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
