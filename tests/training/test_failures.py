"""Non-finite steps are counted; too many in a row send the run back to its last good checkpoint, once."""

import math
from pathlib import Path

import pytest
import torch

from dataprep.errors import UserError
from tests.tiny_run import rows, tiny_trainer
from vicregl_fast.training.failures import Failures
from vicregl_fast.training.step import StepResult, TrainingStep

GOOD = StepResult(1.0, {}, finite=True, applied=True)
BAD_LOSS = StepResult(math.nan, {}, finite=False, applied=False)
BAD_GRADIENT = StepResult(1.0, {}, finite=False, applied=False)


def test_only_failures_in_a_row_are_too_many() -> None:
    failures = Failures(patience=3)
    off = torch.amp.GradScaler("cpu", enabled=False)
    told = [failures.count(step, off) for step in (BAD_LOSS, BAD_GRADIENT, GOOD, BAD_LOSS, BAD_GRADIENT, BAD_LOSS)]
    assert told == [False] * 5 + [True]
    assert (failures.skipped, failures.in_a_row) == (5, 3)


def test_a_gradient_scaler_may_search_down_to_one() -> None:
    def at(scale: float) -> torch.amp.GradScaler:
        return torch.amp.GradScaler("cpu", init_scale=scale)

    failures = Failures(patience=2)
    assert not any(failures.count(BAD_GRADIENT, at(scale)) for scale in (2.0**16, 2.0**8, 2.0, 1.0))
    assert (failures.skipped, failures.in_a_row) == (4, 0)
    assert [failures.count(BAD_GRADIENT, at(scale)) for scale in (0.5, 0.25)] == [False, True]
    failures = Failures(patience=2)
    assert [failures.count(BAD_LOSS, at(2.0**16)) for _ in range(2)] == [False, True]


def break_steps(monkeypatch: pytest.MonkeyPatch, broken: range) -> None:
    """The loss of these steps, counted from 1, is no number."""
    losses, calls = TrainingStep.losses, iter(range(1, 1000))

    def breaking(self: TrainingStep, *arguments: object) -> tuple:
        loss, named, objective = losses(self, *arguments)
        factor = math.nan if next(calls) in broken else 1.0
        return loss * factor, named, objective * factor

    monkeypatch.setattr(TrainingStep, "losses", breaking)


def test_a_run_goes_back_once_and_on(
    beton: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Checkpoints after steps 3, 4 and 6; steps 6 and 7 fail: the weights of step 4, since 6 was a bad one."""
    break_steps(monkeypatch, range(6, 8))
    run = tiny_trainer(beton, tmp_path / "run", train__patience=2)
    seen: dict[int, dict[str, torch.Tensor]] = {}
    step = TrainingStep.__call__

    def watching(self: TrainingStep, *arguments: object, **options: object) -> StepResult:
        weights = run.learner.network.state_dict()
        seen[run.finished_steps] = {name: value.clone() for name, value in weights.items()}
        return step(self, *arguments, **options)

    monkeypatch.setattr(TrainingStep, "__call__", watching)
    assert run.run() == 0
    assert "step 8 goes on with the weights of step 4" in capsys.readouterr().out
    assert all(torch.equal(seen[7][name], value) for name, value in seen[4].items())
    assert not all(torch.equal(seen[5][name], value) for name, value in seen[4].items())
    logged = {row["step"]: row for row in rows(tmp_path / "run")}
    assert "loss" not in logged[6] and "loss" in logged[8] and sorted(logged) == list(range(1, 13))
    assert logged[12]["skipped_steps"] == 2


def test_a_run_that_going_back_does_not_mend_ends(beton: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_steps(monkeypatch, range(5, 100))
    run = tiny_trainer(beton, tmp_path / "run", train__patience=2)
    with pytest.raises(UserError, match="2 steps in a row, the last of them step 8, after going back once"):
        run.run()
    newest = run.folder.checkpoints.load_newest()
    assert newest is not None and newest["step"] == 4


def test_without_a_checkpoint_there_is_nothing_to_go_back_to(
    beton: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_steps(monkeypatch, range(1, 100))
    with pytest.raises(UserError, match="the last of them step 2; checkpoints are kept"):
        tiny_trainer(beton, tmp_path / "run", train__patience=2).run()
