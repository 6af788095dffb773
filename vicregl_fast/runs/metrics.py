"""Reads files like ``metrics.jsonl``, in which each line is a JSON object with the step after which it was logged."""

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dataprep.atomic import write_text
from dataprep.errors import UserError
from vicregl_fast.runs.folder import RunFolder

POSITIONS = ("step", "epoch")
"""Names of those values in a row that are its position in the run, and not metrics."""


@dataclass(frozen=True)
class Curve:
    """The values of one metric.

    Attributes:
        steps: the steps after which it was logged, in ascending order, int64 [n].
        values: its value at each of these steps, float64 [n].
    """

    steps: np.ndarray
    values: np.ndarray


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Returns the rows of ``file`` in their order, without any line that a killed run left incomplete."""
    rows = []
    for line in file.read_text().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows


def drop_rows(file: Path, dropped: Callable[[dict[str, Any]], bool]) -> None:
    """Removes rows from ``file``, which need not exist, and what a killed run left incomplete."""
    if file.exists():
        kept = [row for row in read_rows(file) if not dropped(row)]
        write_text(file, "".join(json.dumps(row) + "\n" for row in kept))


def read_curves(run: Path) -> dict[str, Curve]:
    """Reads the curves of the run in the folder ``run``, by the name of the metric.

    If a metric has several values for one step, the last one counts.

    Raises:
        UserError: there is no file of metrics, or it holds no metric yet.
    """
    file = RunFolder(run).metrics
    if not file.is_file():
        raise UserError(f"{run} has no {file.name}: give the folder of a run (--run_dir of vicregl_fast.train)")
    points: dict[str, dict[int, float]] = defaultdict(dict)
    for row in read_rows(file):
        for name, value in row.items():
            if name not in POSITIONS and isinstance(value, int | float):
                points[name][row["step"]] = float(value)
    if not points:
        raise UserError(f"{file} has no metrics yet: wait until the run has logged its first steps")
    return {name: _curve(by_step) for name, by_step in points.items()}


def _curve(by_step: dict[int, float]) -> Curve:
    steps = sorted(by_step)
    return Curve(np.array(steps), np.array([by_step[step] for step in steps]))
