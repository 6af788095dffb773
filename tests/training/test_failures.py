"""Non-finite steps are counted; too many in a row send the run back to its last good checkpoints."""

import json
import math
from collections.abc import Container
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from dataprep.errors import UserError
from tests.tiny_run import rows, tiny_options, tiny_trainer
from tests.two_processes import on_two_processes
from vicregl_fast.config import parse_config
from vicregl_fast.runs.checkpoints import Checkpoints
from vicregl_fast.runs.folder import RunFolder
from vicregl_fast.training.failures import Failures
from vicregl_fast.training.outcome import StepOutcome
from vicregl_fast.training.processes import join_processes
from vicregl_fast.training.step import BatchLosses, StepResult, TrainingStep
from vicregl_fast.training.trainer import Trainer


def outcome(loss: float = 1.0, finite: bool = False, scale: float = 0.0) -> StepOutcome:
    return StepOutcome(1, np.arange(2), loss, finite, scale)


def test_only_failures_in_a_row_are_too_many() -> None:
    failures, told = Failures(patience=3), []
    good, bad_loss, bad_gradient = outcome(finite=True), outcome(math.nan), outcome()
    for each in (bad_loss, bad_gradient, good, bad_loss, bad_gradient, bad_loss):
        assert failures.count(each) == (each is not good)
        told.append(failures.too_many)
    assert told == [False] * 5 + [True]
    assert (failures.skipped, failures.in_a_row) == (5, 3)


def test_a_gradient_scaler_may_search_down_to_one() -> None:
    failures = Failures(patience=2)
    assert not any(failures.count(outcome(scale=scale)) for scale in (2.0**16, 2.0**8, 2.0, 1.0))
    assert (failures.skipped, failures.in_a_row) == (4, 0)
    for scale, too_many in ((0.5, False), (0.25, True)):
        assert failures.count(outcome(scale=scale)) and failures.too_many == too_many
    failures = Failures(patience=2)
    for too_many in (False, True):
        assert failures.count(outcome(math.nan, scale=2.0**16)) and failures.too_many == too_many


def break_steps(monkeypatch: pytest.MonkeyPatch, broken: Container[int]) -> None:
    """The loss of these steps, counted from 1, is not finite."""
    losses, calls = TrainingStep.losses, iter(range(1, 1000))

    def breaking(self: TrainingStep, *arguments: object) -> BatchLosses:
        whole = losses(self, *arguments)
        factor = math.nan if next(calls) in broken else 1.0
        terms = replace(whole.terms, total=whole.terms.total * factor)
        return replace(whole, terms=terms, objective=whole.objective * factor)

    monkeypatch.setattr(TrainingStep, "losses", breaking)


def weights_of_a_run(store: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, torch.Tensor]]:
    """Those before each of the 12 steps of a whole run that is patient with two failures."""
    run, seen = tiny_trainer(store, folder, train__patience=2), []
    step = TrainingStep.__call__

    def watching(self: TrainingStep, *arguments: object, **options: object) -> StepResult:
        seen.append({name: value.clone() for name, value in run.learner.network.state_dict().items()})
        return step(self, *arguments, **options)

    monkeypatch.setattr(TrainingStep, "__call__", watching)
    assert run.run() == 0 and len(seen) == 12
    return seen


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_goes_back_and_on(
    beton: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Checkpoints after steps 3 and 4; the first after the failures is that of step 8."""
    break_steps(monkeypatch, range(6, 8))
    seen = weights_of_a_run(beton, tmp_path / "run", monkeypatch)
    assert "step 8 goes on with the weights of step 4" in capsys.readouterr().err
    assert same(seen[7], seen[4]) and not same(seen[5], seen[4])
    logged = {row["step"]: row for row in rows(tmp_path / "run")}
    assert "loss" not in logged[6] and "loss" in logged[8] and sorted(logged) == list(range(1, 13))
    assert logged[12]["skipped_steps"] == 2


def test_where_the_newest_checkpoint_does_not_help_the_one_before_is_taken(
    beton: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_steps(monkeypatch, range(5, 9))
    seen = weights_of_a_run(beton, tmp_path / "run", monkeypatch)
    assert same(seen[6], seen[4]) and same(seen[8], seen[3]) and not same(seen[4], seen[3])


def test_a_run_that_finds_back_while_the_host_does_not_know_goes_on(
    beton: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Without a log and a checkpoint in between, outcomes are read one step late: of steps 5 and 6 after step 7."""
    break_steps(monkeypatch, [5, 6])
    run = tiny_trainer(beton, tmp_path / "run", train__patience=2, train__log_every=100, train__checkpoint_every=100)
    assert run.run() == 0
    assert run.failures.skipped == 2 and not run.checkpointing.gone_back_to
    named = [json.loads(line) for line in run.folder.skipped_steps.read_text().splitlines()]
    assert [(row["step"], row["images"]) for row in named] == [
        (5 + step, indices.tolist()) for step, indices in enumerate(islice(run.order.epoch(1), 2))
    ]
    told = capsys.readouterr().err
    assert all(f"step {step} changes nothing" in told for step in (5, 6))


def test_a_resumed_run_names_later_steps_anew(beton: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert tiny_trainer(beton, run, epochs=1).run() == 0
    skipped = RunFolder(run).skipped_steps
    assert not skipped.exists()
    skipped.write_text('{"step": 4, "images": [1]}\n{"step": 9, "images": [2]}\n{"st')
    assert tiny_trainer(beton, run, epochs=1).run() == 0
    assert [json.loads(line)["step"] for line in skipped.read_text().splitlines()] == [4]


def test_a_run_that_going_back_does_not_mend_ends(beton: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_steps(monkeypatch, range(5, 100))
    run = tiny_trainer(beton, tmp_path / "run", train__patience=2)
    with pytest.raises(UserError, match="2 steps in a row, the last of them step 10, after going back 2 times"):
        run.run()
    assert [path.name for path in run.folder.checkpoints.paths()] == ["step-000000004.pt", "step-000000003.pt"]


def test_without_a_checkpoint_there_is_nothing_to_go_back_to(
    beton: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_steps(monkeypatch, range(1, 100))
    with pytest.raises(UserError, match="the last of them step 2; checkpoints are kept"):
        tiny_trainer(beton, tmp_path / "run", train__patience=2).run()


def test_only_weights_of_a_finite_step_are_saved_but_for_the_last(
    beton: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Due after 3, 4, 6, 8, 9 and 12: what step 4 puts off comes after step 5."""
    break_steps(monkeypatch, [4, 12])
    run, saved = tiny_trainer(beton, tmp_path / "run"), []
    save = Checkpoints.save

    def noting(self: Checkpoints, state: dict, step: int, keep: bool) -> Path:
        saved.append(step)
        return save(self, state, step, keep)

    monkeypatch.setattr(Checkpoints, "save", noting)
    assert run.run() == 0
    assert saved == [3, 5, 6, 8, 9, 12]
    assert "of the last step were not finite" in capsys.readouterr().err


def _go_back_together(store: Path, folder: Path) -> None:
    processes = join_processes("cpu")
    with pytest.MonkeyPatch.context() as patch:
        break_steps(patch, [] if processes.leads else range(6, 8))  # averaging gradients carries it to all
        run = Trainer(parse_config(tiny_options(store, folder / "run", train__patience=2)), processes)
        assert run.run() == 0
    assert run.failures.skipped == 2 and run.checkpointing.gone_back_to == {4}
    named = [json.loads(line) for line in run.folder.skipped_steps.read_text().splitlines()]
    assert [(row["step"], len(set(row["images"]))) for row in named] == [(6, 12), (7, 12)]
    torch.save(run.learner.network.backbone.model.conv1.weight, folder / f"{processes.rank}.pt")
    processes.leave()


@pytest.mark.slow
def test_processes_go_back_together(beton: Path, tmp_path: Path) -> None:
    on_two_processes(_go_back_together, beton, tmp_path)
    assert torch.equal(*(torch.load(tmp_path / f"{rank}.pt") for rank in range(2)))
