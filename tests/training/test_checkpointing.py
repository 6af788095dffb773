"""When a checkpoint is due, which one is proven, and what a run goes back to; without any training."""

from pathlib import Path

import pytest

from dataprep.errors import UserError
from tests.tiny_run import ALONE
from tests.two_processes import on_two_processes
from vicregl_fast.runs.folder import RunFolder
from vicregl_fast.training.checkpointing import Checkpointing, newest_state
from vicregl_fast.training.processes import Processes, join_processes
from vicregl_fast.training.run_state import RunState

TOTAL = 12


def state(step: int) -> RunState:
    return RunState(step, 0, "store", [{}], {"network": {}, "optimizer": {}, "scaler": {}})


def policy(folder: Path, every: int = 3, processes: Processes = ALONE, keep_every: int | None = None) -> Checkpointing:
    return Checkpointing(RunFolder(folder), processes, every, TOTAL, keep_every)


def train(policy: Checkpointing, steps: range, broken: tuple[int, ...] = ()) -> list[int]:
    """The steps after which a checkpoint was taken."""
    taken = []
    for step in steps:
        policy.after_step(step)
        policy.proven = step not in broken
        policy.save_if_due(step, lambda step=step: taken.append(step) or state(step))  # type: ignore[func-returns-value,misc]
    return taken


def saved(folder: Path) -> list[int]:
    return [int(path.stem.split("-")[1]) for path in RunFolder(folder).checkpoints.paths()]


def test_one_is_due_every_so_many_steps(tmp_path: Path) -> None:
    checkpointing = policy(tmp_path)
    assert train(checkpointing, range(1, 9)) == [3, 6]
    assert saved(tmp_path) == [6, 3] and checkpointing.saved_step == 6


def test_one_is_due_when_it_is_made_so_and_taken_once(tmp_path: Path) -> None:
    checkpointing = policy(tmp_path)
    assert train(checkpointing, range(1, 5)) == [3]
    checkpointing.make_due()
    checkpointing.save_if_due(4, lambda: state(4))
    checkpointing.make_due()
    checkpointing.save_if_due(4, lambda: pytest.fail("taken twice"))  # type: ignore[arg-type,return-value]
    assert saved(tmp_path) == [4, 3]


def test_weights_that_are_not_proven_wait_for_a_finite_step(tmp_path: Path) -> None:
    checkpointing = policy(tmp_path)
    assert train(checkpointing, range(1, 8), broken=(3, 4)) == [5, 6]
    assert checkpointing.proven


def test_the_last_of_a_run_is_taken_in_any_case(tmp_path: Path) -> None:
    checkpointing = policy(tmp_path)
    assert train(checkpointing, range(8, TOTAL + 1), broken=(12,)) == [9, 12]
    assert not checkpointing.proven


def test_a_stop_in_between_does_not_save_what_is_not_proven(tmp_path: Path) -> None:
    checkpointing = policy(tmp_path)
    assert train(checkpointing, range(1, 6), broken=(5,)) == [3]
    checkpointing.make_due()
    checkpointing.save_if_due(5, lambda: pytest.fail("not proven"))  # type: ignore[arg-type,return-value]
    assert checkpointing.saved_step == 3


def test_it_goes_back_to_ever_older_ones(tmp_path: Path) -> None:
    checkpointing = policy(tmp_path)
    train(checkpointing, range(1, 8))
    assert [each and each.step for each in (checkpointing.to_go_back_to() for _ in range(3))] == [6, 3, None]
    assert checkpointing.gone_back_to == {3, 6}
    newest = newest_state(RunFolder(tmp_path), ALONE)  # a resumed run begins with the newest
    assert newest is not None and newest.step == 6


def test_some_are_kept_and_only_the_newest_are_gone_back_to(tmp_path: Path) -> None:
    checkpointing = policy(tmp_path, keep_every=4)
    assert train(checkpointing, range(1, 11), broken=(4, 8)) == [3, 5, 6, 9]  # kept once they are proven
    assert saved(tmp_path) == [9, 6, 5]
    assert [path.name.endswith("-kept.pt") for path in RunFolder(tmp_path).checkpoints.paths()] == [True, False, True]
    assert [each and each.step for each in (checkpointing.to_go_back_to() for _ in range(3))] == [9, 6, None]


def test_what_another_version_wrote_is_refused(tmp_path: Path) -> None:
    assert newest_state(RunFolder(tmp_path), ALONE) is None
    RunFolder(tmp_path).checkpoints.save({"step": 3}, 3)
    with pytest.raises(UserError, match="format None, and this version resumes format 2"):
        newest_state(RunFolder(tmp_path), ALONE)


def _together(folder: Path) -> None:
    processes = join_processes("cpu")
    checkpointing = policy(folder, processes=processes, keep_every=6)
    assert train(checkpointing, range(1, 8)) == [3, 6]  # the state is gathered on every rank, and written by one
    newest = newest_state(RunFolder(folder), processes)
    assert newest is not None and newest.step == 6
    processes.agree(lambda: None)
    if processes.leads:  # what the other one saw does not count
        RunFolder(folder).checkpoints.path(6).write_bytes(b"damaged")
    processes.agree(lambda: None)
    back = checkpointing.to_go_back_to()
    assert back is not None and back.step == 3
    processes.leave()


@pytest.mark.slow
def test_all_processes_take_the_same(tmp_path: Path) -> None:
    on_two_processes(_together, tmp_path)
    assert saved(tmp_path) == [6, 3]
