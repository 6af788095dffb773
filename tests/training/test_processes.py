"""Processes wait for each other for as long as a conversion takes."""

import time
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import torch.distributed as dist

from dataprep.errors import UserError
from tests.two_processes import on_two_processes
from vicregl_fast.training.processes import join_processes

SHORT = timedelta(seconds=2)


def _wait_longer_than_the_group_does(folder: Path) -> None:
    dist.init_process_group = partial(dist.init_process_group, timeout=SHORT)
    processes = join_processes("cpu")
    assert processes.world == 2 and processes.leads == (processes.rank == 0)
    if processes.leads:
        time.sleep(3 * SHORT.total_seconds())
    processes.wait()
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


def test_what_rank_0_refuses_every_process_refuses(tmp_path: Path) -> None:
    on_two_processes(_rank_0_fails, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("told-*")) == ["told-0", "told-1"]


def test_one_process_may_be_busy_for_longer_than_the_group_waits(tmp_path: Path) -> None:
    on_two_processes(_wait_longer_than_the_group_does, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("waited-*")) == ["waited-0", "waited-1"]
