"""metrics.jsonl and TensorBoard: the same numbers, one row a time."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from torch.utils.tensorboard import SummaryWriter

from vicregl_fast.training.validation import VALIDATION_LOSS


class MetricsLog:
    """Appends rows to metrics.jsonl and mirrors them in TensorBoard.

    Args:
        metrics: path of the rows, one JSON object a line.
        tensorboard: folder of the events.
        resumed_step: rows of later steps, left by a run that died after its last checkpoint, are dropped.

    Attributes:
        validated_step: the last step with a validation, 0 before the first.
    """

    def __init__(self, metrics: Path, tensorboard: Path, resumed_step: int):
        self.validated_step = 0
        for row in self._drop_after(metrics, resumed_step):
            self._note_validation(row["step"], row)
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
        self._note_validation(step, values)
        self._file.write(json.dumps({"step": step, **finite}) + "\n")
        for name, value in finite.items():
            self._events.add_scalar(name, value, step)

    def _note_validation(self, step: int, values: Mapping[str, float]) -> None:
        if VALIDATION_LOSS in values:
            self.validated_step = step

    @staticmethod
    def _drop_after(metrics: Path, step: int) -> list[dict]:
        """Rewrites the file without rows of steps after ``step``, and gives the rows that are left."""
        if not metrics.exists():
            return []
        kept = []
        for line in metrics.read_text().splitlines():
            try:
                row = json.loads(line)
                if row["step"] <= step:
                    kept.append(row)
            except (ValueError, KeyError):
                continue  # a line that a killed process left half written
        partial = metrics.with_suffix(".partial")
        partial.write_text("".join(json.dumps(row) + "\n" for row in kept))
        os.replace(partial, metrics)
        return kept
