"""metrics.jsonl and TensorBoard: the same numbers, one row a time."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from torch.utils.tensorboard import SummaryWriter


class MetricsLog:
    """Appends rows to metrics.jsonl and mirrors them in TensorBoard.

    Args:
        metrics: path of the rows, one JSON object a line.
        tensorboard: folder of the events.
        resumed_step: rows of later steps, left by a run that died after its last checkpoint, are dropped.
    """

    def __init__(self, metrics: Path, tensorboard: Path, resumed_step: int):
        self._drop_after(metrics, resumed_step)
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
        """One row, after ``step`` steps."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in values.items():
            self._events.add_scalar(name, value, step)

    @staticmethod
    def _drop_after(metrics: Path, step: int) -> None:
        if not metrics.exists():
            return
        kept = []
        for line in metrics.read_text().splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except (ValueError, KeyError):
                continue  # a line that a killed process left half written
        partial = metrics.with_suffix(".partial")
        partial.write_text("".join(kept))
        os.replace(partial, metrics)
