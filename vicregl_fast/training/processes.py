"""The processes of a run: a single one, or the group that torchrun started. In the group each has a rank."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from dataprep.errors import UserError
from dataprep.notes import mute_notes
from vicregl_fast.choices import DeviceChoice
from vicregl_fast.devices import choose_device

Result = TypeVar("Result")

PATIENCE = timedelta(days=2)
"""How long processes wait while rank 0 converts a folder of images; NCCL's default of 10 minutes is too short."""


@dataclass(frozen=True)
class Processes:
    """This process and the group that it trains in.

    Attributes:
        rank: number of this process, from 0; rank 0 writes logs and checkpoints.
        world: number of processes that train together.
        device: where this process computes.
        local_world: number of the processes on this machine.
        patient: a second group of the same processes, which waits as long as ``PATIENCE``; None for a single process.
    """

    rank: int
    world: int
    device: torch.device
    local_world: int = 1
    patient: dist.ProcessGroup | None = None

    @property
    def leads(self) -> bool:
        """Whether this process writes the run's files: true on rank 0."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Returns whether the flag is set in any process; every process must call this."""
        if self.world == 1:
            return flag
        value = torch.tensor(int(flag), device=self.device)
        dist.all_reduce(value, dist.ReduceOp.MAX)
        return bool(value.item())

    def wait(self) -> None:
        """Waits until every process has called this; another may take as long as ``PATIENCE``."""
        if self.world > 1:
            dist.barrier(self.patient)

    def first(self, action: Callable[[], Result]) -> Result | None:
        """Runs ``action`` on rank 0, while the other processes wait for as long as ``PATIENCE``.

        Returns:
            The result of ``action`` on rank 0, and None on the others.

        Raises:
            UserError: on every process, if ``action`` raised one.
        """
        result, error = None, None
        if self.leads:
            try:
                result = action()
            except UserError as caught:
                error = caught
        if self.world > 1:
            message = [None if error is None else str(error)]
            dist.broadcast_object_list(message, 0, self.patient)
            if error is None and message[0] is not None:
                error = UserError(message[0])
        if error is not None:
            raise error
        return result

    def gather(self, value: object) -> list:
        """Returns the values of all processes, in the order of ranks; every process must call this."""
        if self.world == 1:
            return [value]
        values: list = [None] * self.world
        dist.all_gather_object(values, value)
        return values

    def leave(self) -> None:
        """Ends this process's part in the group, if there is one."""
        if self.world > 1:
            dist.destroy_process_group()


def join_processes(device: DeviceChoice) -> Processes:
    """Joins the group that torchrun's variables (RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE) describe.

    Without these variables this process is alone. Notes are muted on all ranks but 0.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UserError: there is no such device for this process.
    """
    rank, world, local = (int(os.environ.get(name, 0)) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    world = max(world, 1)
    chosen = choose_device(device, local)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    mute_notes(rank != 0)
    patient = None
    if world > 1:
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
        group = dist.new_group(backend="gloo", timeout=PATIENCE)
        assert not isinstance(group, int)  # new_group returns one only to processes outside the group
        patient = group
    return Processes(rank, world, chosen, int(os.environ.get("LOCAL_WORLD_SIZE", world)), patient)
