"""metrics.jsonl and TensorBoard: the same numbers, one row a time."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from dataprep.atomic import write_text
from vicregl_fast.runs.metrics import read_rows
from vicregl_fast.training.validation import VALIDATION_LOSS


class MetricsLog:
    """Appends rows to metrics.jsonl and mirrors them in TensorBoard.

    Rows that a run will log again are dropped first: those of later steps than it resumes after, left by a run that
    died after its last checkpoint, and a validation that it has no record of.

    Args:
        metrics: path of the rows, one JSON object a line.
        tensorboard: folder of the events.
        resumed_step: after which the run goes on.
        validated_step: after which it was last validated.
    """

    def __init__(self, metrics: Path, tensorboard: Path, resumed_step: int, validated_step: int = 0):
        def stays(row: dict[str, Any]) -> bool:
            made_again = VALIDATION_LOSS in row and validated_step < resumed_step
            return row["step"] < resumed_step or (row["step"] == resumed_step and not made_again)

        if metrics.exists():
            kept = [row for row in read_rows(metrics) if stays(row)]
            write_text(metrics, "".join(json.dumps(row) + "\n" for row in kept))
        self._file = open(metrics, "a", buffering=1)  # noqa: SIM115
        self._events = SummaryWriter(str(tensorboard), purge_step=resumed_step + 1)

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._events.close()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One row, after ``step`` steps; values that are not finite, which JSON does not know, are left out."""
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        self._file.write(json.dumps({"step": step, **finite}) + "\n")
        for name, value in finite.items():
            self._events.add_scalar(name, value, step)
