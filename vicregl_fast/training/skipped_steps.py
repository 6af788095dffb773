"""The file that names the steps that changed nothing, with the images that they had: one JSON object a line."""

import json
from pathlib import Path

from vicregl_fast.runs.metrics import drop_rows
from vicregl_fast.training.log import full_disk_said


def forget_later_steps(file: Path, resumed_step: int) -> None:
    """Removes the rows of steps after ``resumed_step``, which a resumed run will do again."""
    drop_rows(file, lambda row: row["step"] > resumed_step)


def add_skipped_step(file: Path, step: int, indices: list[int]) -> None:
    """Appends the number of a step and the sample indices of its global batch.

    Raises:
        UserError: the system refused to write, for example because the disk is full.
    """
    with full_disk_said(file.parent), open(file, "a") as opened:
        opened.write(json.dumps({"step": step, "images": indices}) + "\n")
