"""One process, or the group that torchrun started."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from dataprep.errors import UserError
from dataprep.notes import mute_notes
from vicregl_fast.devices import DeviceName, choose_device

Result = TypeVar("Result")

PATIENCE = timedelta(days=2)
"""For a folder that one process converts while the others wait: NCCL's own 10 minutes would end the run."""


@dataclass(frozen=True)
class Processes:
    """This process among those of the run.

    Attributes:
        rank: 0 writes logs and checkpoints.
        world: how many processes train together.
        device: where this one computes.
        local_world: how many of them are on this machine.
        patient: the same processes, as a group that waits for as long as a conversion may take; None when alone.
    """

    rank: int
    world: int
    device: torch.device
    local_world: int = 1
    patient: dist.ProcessGroup | None = None

    @property
    def leads(self) -> bool:
        """Whether this process writes what the run leaves."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        if self.world == 1:
            return flag
        value = torch.tensor(int(flag), device=self.device)
        dist.all_reduce(value, dist.ReduceOp.MAX)
        return bool(value.item())

    def wait(self) -> None:
        """Until every process is here, however long one of them is busy."""
        if self.world > 1:
            dist.barrier(self.patient)

    def first(self, action: Callable[[], Result]) -> Result | None:
        """What ``action`` gives on rank 0, and None on the others, which wait for it however long it takes.

        Raises:
            UserError: on every process, if rank 0 ends in one.
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
        """The value of every process, in the order of ranks."""
        if self.world == 1:
            return [value]
        values: list = [None] * self.world
        dist.all_gather_object(values, value)
        return values

    def leave(self) -> None:
        """Ends the group, if there is one."""
        if self.world > 1:
            dist.destroy_process_group()


def join_processes(device: DeviceName) -> Processes:
    """Reads what torchrun sets (RANK, WORLD_SIZE, LOCAL_RANK) and joins the group, if there is one.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UserError: what ``choose_device`` raises.
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
        assert not isinstance(group, int)  # which stands for processes outside the group
        patient = group
    return Processes(rank, world, chosen, int(os.environ.get("LOCAL_WORLD_SIZE", world)), patient)
