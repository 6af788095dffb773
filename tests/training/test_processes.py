"""Processes wait for each other for as long as a conversion takes."""

import os
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import torch.distributed as dist

from dataprep.errors import ToldElsewhere, UserError
from dataprep.notes import mute_notes
from tests.tiny_run import ALONE
from tests.two_processes import on_two_processes
from vicregl_fast.training import processes
from vicregl_fast.training.processes import Vote, join_processes, told_of_a_lost_process

SHORT = timedelta(seconds=2)


def _wait_longer_than_the_group_does(folder: Path) -> None:
    dist.init_process_group = partial(dist.init_process_group, timeout=SHORT)
    processes = join_processes("cpu")
    assert processes.world == 2 and processes.leads == (processes.rank == 0)
    if processes.leads:
        time.sleep(3 * SHORT.total_seconds())
    processes.agree(lambda: None)
    (folder / f"waited-{processes.rank}").touch()
    processes.leave()


def _rank_0_fails(folder: Path) -> None:
    processes = join_processes("cpu")
    assert processes.first(lambda: "done") == ("done" if processes.leads else None)

    def refuse() -> None:
        raise UserError(f"refused by {processes.rank}")

    with pytest.raises(UserError, match="refused by 0"):
        processes.first(refuse)
    (folder / f"told-{processes.rank}").touch()
    processes.leave()


def _one_of_them_fails(folder: Path) -> None:
    processes = join_processes("cpu")
    assert processes.agree(lambda: processes.rank) == processes.rank

    def refuse(rank: int) -> None:
        if processes.rank >= rank:
            raise UserError("refused")

    for first in (0, 1):  # the first one that raises it prints it
        with pytest.raises(UserError, match="refused") as raised:
            processes.agree(lambda first=first: refuse(first))  # type: ignore[misc]
        assert isinstance(raised.value, ToldElsewhere) == (processes.rank != first)
    (folder / f"told-{processes.rank}").touch()
    processes.leave()


def _the_other_is_gone(folder: Path) -> None:
    processes = join_processes("cpu")
    processes.agree(lambda: None)
    if processes.leads:
        with pytest.raises(UserError, match="another process of this run has ended"), told_of_a_lost_process():
            processes.any(True)
        with pytest.raises(RuntimeError, match="a fault of ours"), told_of_a_lost_process():
            raise RuntimeError("a fault of ours")
        (folder / "told-0").touch()
    processes.leave()


def _vote(folder: Path) -> None:
    processes = join_processes("cpu")
    vote, cast = Vote(processes), [rank_1 and not processes.leads for rank_1 in (False, True, False, True)]
    assert [vote.any_before(flag) for flag in cast] == [False, False, True, False]
    vote.close()
    assert not vote.any_before(False)
    vote.close()
    (folder / f"voted-{processes.rank}").touch()
    processes.leave()


def test_a_vote_is_the_same_everywhere_and_one_call_late(tmp_path: Path) -> None:
    on_two_processes(_vote, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("voted-*")) == ["voted-0", "voted-1"]


def test_who_is_alone_votes_at_once() -> None:
    vote = Vote(ALONE)
    assert [vote.any_before(flag) for flag in (False, True, False)] == [False, True, False]


def _count_neighbours(folder: Path, bound: bool) -> None:
    rank = int(os.environ["RANK"])
    if bound:  # as srun --cpus-per-task binds its tasks
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[rank]})
    counted = join_processes("cpu")
    assert (counted.local_world, counted.core_sharers) == (2, 1 if bound else 2)
    (folder / f"counted-{rank}-{bound}").touch()
    counted.leave()


@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_processes_count_those_beside_them(tmp_path: Path) -> None:
    for bound in (False, True):
        on_two_processes(_count_neighbours, tmp_path, bound)
    assert len(list(tmp_path.glob("counted-*"))) == 4


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_of_what_several_refuse_one_speaks(tmp_path: Path) -> None:
    on_two_processes(_one_of_them_fails, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("told-*")) == ["told-0", "told-1"]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_process_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    on_two_processes(_the_other_is_gone, tmp_path)
    assert (tmp_path / "told-0").exists()


def test_processes_that_do_not_find_each_other_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(processes, "JOINING", timedelta(seconds=1))
    with pytest.raises(UserError, match="do not find each other at localhost:1 ") as raised:
        join_processes("cpu")
    mute_notes(False)
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_what_rank_0_refuses_every_process_refuses(tmp_path: Path) -> None:
    on_two_processes(_rank_0_fails, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("told-*")) == ["told-0", "told-1"]


@pytest.mark.slow
def test_one_process_may_be_busy_for_longer_than_the_group_waits(tmp_path: Path) -> None:
    on_two_processes(_wait_longer_than_the_group_does, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("waited-*")) == ["waited-0", "waited-1"]
