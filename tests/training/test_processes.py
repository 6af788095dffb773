"""Processes wait for each other for as long as a conversion takes."""

import os
import socket
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

import torch.distributed as dist
import torch.multiprocessing as mp

from vicregl_fast.training.processes import join_processes, leave_processes

SHORT = timedelta(seconds=2)


def _wait_longer_than_the_group_does(rank: int, port: int, folder: str) -> None:
    setting = {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": rank, "MASTER_ADDR": "localhost", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in setting.items()})
    dist.init_process_group = partial(dist.init_process_group, timeout=SHORT)
    processes = join_processes("cpu")
    assert (processes.rank, processes.world, processes.leads) == (rank, 2, rank == 0)
    if processes.leads:
        time.sleep(3 * SHORT.total_seconds())
    processes.wait()
    (Path(folder) / f"waited-{rank}").touch()
    leave_processes(processes)


def test_one_process_may_be_busy_for_longer_than_the_group_waits(tmp_path: Path) -> None:
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    mp.spawn(_wait_longer_than_the_group_does, (port, str(tmp_path)), nprocs=2)
    assert sorted(path.name for path in tmp_path.glob("waited-*")) == ["waited-0", "waited-1"]
