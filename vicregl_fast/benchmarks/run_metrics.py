"""The speed of a training run, from its own log."""

from collections.abc import Iterator
from pathlib import Path

from dataprep.errors import UserError
from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.runs.metrics import read_curves


def bench_run(run: Path) -> Iterator[Measurement]:
    """Summarises images/s and the share of time spent waiting for data over the logged steps; adds first and last loss.

    Raises:
        UserError: the folder holds no run that has logged a training step with a finite loss.
    """
    curves = read_curves(run)
    if not {"images_per_second", "loss"} <= curves.keys():
        raise UserError(f"{run} has logged no training step with a finite loss: wait for the first ones")
    for name, unit in (("images_per_second", "images/s"), ("data_wait_share", "x")):
        yield Measurement.of(f"run.{name}", curves[name].values.tolist(), unit)
    losses = curves["loss"].values.tolist()
    yield Measurement.of("run.first_loss", losses[:1], "")
    yield Measurement.of("run.last_loss", losses[-1:], "")
