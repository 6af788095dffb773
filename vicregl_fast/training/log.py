"""Writes the metrics of a run to metrics.jsonl and, the same figures, to TensorBoard."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from dataprep.errors import UserError
from vicregl_fast.runs.metrics import drop_rows
from vicregl_fast.training.validation import VALIDATION_LOSS


class MetricsLog:
    """Appends rows to metrics.jsonl and writes the same figures to TensorBoard.

    On opening, rows that the resumed run will log again are removed from metrics.jsonl. These are the rows of steps
    after ``resumed_step``, left by a run that died after its last checkpoint, and the validation row of
    ``resumed_step`` itself if that validation will be made again. TensorBoard hides the later steps, too.

    Args:
        metrics: the file of the rows, one JSON object a line.
        tensorboard: the folder of TensorBoard's event files.
        resumed_step: number of steps that were done before this run continues; 0 for a new run.
        validates_again: whether the first row that will be written is the validation of ``resumed_step``.
    """

    def __init__(self, metrics: Path, tensorboard: Path, resumed_step: int, validates_again: bool = False):
        def comes_again(row: dict[str, Any]) -> bool:
            made_again = validates_again and VALIDATION_LOSS in row
            return row["step"] > resumed_step or (row["step"] == resumed_step and made_again)

        drop_rows(metrics, comes_again)
        self._folder = metrics.parent
        with full_disk_said(self._folder):
            self._file = open(metrics, "a", buffering=1)  # noqa: SIM115
            # Rows go through a queue, which by default is shorter than one of them, so that training would wait.
            self._events = SummaryWriter(str(tensorboard), max_queue=1000, purge_step=resumed_step + 1)

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError) if error is not None else full_disk_said(self._folder):
            self._file.close()
            self._events.close()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Writes one row for the state after ``step`` steps, without non-finite values, for which JSON has no form.

        Raises:
            UserError: the system refused to write, for example because the disk is full.
        """
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        with full_disk_said(self._folder):
            self._file.write(json.dumps({"step": step, **finite}) + "\n")
            for name, value in finite.items():
                self._events.add_scalar(name, value, step)


@contextmanager
def full_disk_said(folder: Path) -> Iterator[None]:
    """Raises UserError where the system refuses to write to a log in ``folder``.

    Raises:
        UserError: the system refused, for example because the disk is full.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"the log in {folder} cannot be written: {error.strerror or error}; checkpoints are kept: free "
            "space, and the same command goes on"
        ) from error
