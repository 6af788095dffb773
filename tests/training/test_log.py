"""Rows survive, and those of steps that will be done again do not."""

import json
import math
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

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
    (written,) = events.iterdir()  # TensorBoard reads files in the order of their names, which have the second first
    written.rename(events / "events.out.tfevents.0000000001.earlier")
    with MetricsLog(metrics, events, 20) as log:
        log.write(30, {"loss": -1.0})
    assert rows(metrics) == [
        {"step": 10, "loss": 10.0},
        {"step": 20, "loss": 20.0},
        {"step": 30, "loss": -1.0},
    ]
    # Those that will come again are hidden from TensorBoard, too.
    assert scalars(events) == {"loss": [(10, 10.0), (20, 20.0), (30, -1.0)]}


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows: steps and values by name."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_what_is_not_finite_is_left_out_of_a_row(tmp_path: Path) -> None:
    with MetricsLog(tmp_path / "metrics.jsonl", tmp_path / "tensorboard", 0) as log:
        log.write(4, {"epoch": 1, "loss": math.nan, "val_loss": math.inf})
    assert rows(tmp_path / "metrics.jsonl") == [{"step": 4, "epoch": 1}]
    assert scalars(tmp_path / "tensorboard") == {"epoch": [(4, 1.0)]}


@pytest.mark.parametrize(("again", "kept"), [(False, [4, 4]), (True, [4])])
def test_a_validation_that_will_be_made_again_is_dropped(tmp_path: Path, again: bool, kept: list[int]) -> None:
    metrics, events = tmp_path / "metrics.jsonl", tmp_path / "tensorboard"
    with MetricsLog(metrics, events, 0) as log:
        log.write(2, {"val_loss": 2.0})
        log.write(4, {"loss": 1.0})
        log.write(4, {"val_loss": 1.0})
        log.write(5, {"loss": 1.0})
    with MetricsLog(metrics, events, 4, again):
        pass
    assert [row["step"] for row in rows(metrics)] == [2, *kept]
    assert "val_loss" in rows(metrics)[0]
