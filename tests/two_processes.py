"""Processes on this machine that find each other as torchrun's do."""

import os
import socket
from collections.abc import Callable

import torch
import torch.multiprocessing as mp


def on_processes(count: int, target: Callable[..., None], *arguments: object) -> None:
    """Runs ``target`` (of a module, not a closure) with these arguments in each; fails where one fails."""
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    mp.spawn(_start, (count, port, target, arguments), nprocs=count)


def on_two_processes(target: Callable[..., None], *arguments: object) -> None:
    """As ``on_processes``, with two."""
    on_processes(2, target, *arguments)


def _start(rank: int, world: int, port: int, target: Callable[..., None], arguments: tuple) -> None:
    setting = {"RANK": rank, "WORLD_SIZE": world, "LOCAL_RANK": rank, "MASTER_ADDR": "localhost", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in setting.items()})
    torch.set_num_threads(1)
    target(*arguments)
