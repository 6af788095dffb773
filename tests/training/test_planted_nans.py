"""A value that is not a number, in one of two processes: both stay in step, and the run recovers."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny_run import tiny_options
from tests.two_processes import on_two_processes
from vicregl_fast.config import parse_config
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.training.processes import join_processes
from vicregl_fast.training.step import StepResult, TrainingStep
from vicregl_fast.training.trainer import Trainer

PLANTED_IN = 5
SKIPPED = {"inputs": [5], "gradients": [5], "weights": [5, 6, 7]}
"""Which steps change nothing. Wrong weights stay until the run goes back, after two, which it learns in the next."""
RARELY = {"train__log_every": 100, "train__checkpoint_every": 100}
"""So that outcomes are read one step late."""


def plant(step: TrainingStep, batch: ViewBatch, where: str) -> None:
    parameter = next(step.network.parameters())
    if where == "inputs":
        batch.views[0][0, 0, 0, 0] = math.nan
    elif where == "weights":
        with torch.no_grad():
            parameter[0] = math.nan
    else:
        hook = parameter.register_hook(lambda gradient: (hook.remove(), gradient * math.nan)[1])


def _train(store: Path, folder: Path) -> None:
    processes = join_processes("cpu")
    take_step = TrainingStep.__call__
    for where in SKIPPED:
        calls = iter(range(1, 100))

        def planted(self: TrainingStep, batch: ViewBatch, *more: Any, where: str = where) -> StepResult:
            if next(calls) == PLANTED_IN and not processes.leads:  # noqa: B023
                plant(self, batch, where)
            return take_step(self, batch, *more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TrainingStep, "__call__", planted)
            options = tiny_options(store, folder / where, model__backbone="test_resnet", train__patience=2, **RARELY)
            run = Trainer(parse_config(options), processes)
            assert run.run() == 0
        assert run.failures.skipped == len(SKIPPED[where])
        torch.save(run.learner.network.state_dict(), folder / f"{where}-{processes.rank}.pt")
    processes.leave()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_both_processes_stay_in_step(beton: Path, tmp_path: Path) -> None:
    on_two_processes(_train, beton, tmp_path)
    for where, skipped in SKIPPED.items():
        states = [torch.load(tmp_path / f"{where}-{rank}.pt") for rank in range(2)]
        for name, value in states[0].items():
            assert value.isfinite().all() and torch.equal(value, states[1][name]), (where, name)
        lost = [json.loads(line) for line in (tmp_path / where / "skipped_steps.jsonl").read_text().splitlines()]
        assert [row["step"] for row in lost] == skipped, where
        assert all(len(set(row["images"])) == 12 for row in lost)
