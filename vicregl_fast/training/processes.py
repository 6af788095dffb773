"""The processes of a run: a single one, or the group that torchrun started. In the group each has a rank."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from textwrap import shorten
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from dataprep.errors import ToldElsewhere, UserError
from dataprep.notes import mute_notes
from vicregl_fast.choices import DeviceChoice
from vicregl_fast.devices import choose_device
from vicregl_fast.training.launchers import place_of

Result = TypeVar("Result")

PATIENCE = timedelta(days=2)
"""How long processes wait while rank 0 converts a folder of images; NCCL's default of 10 minutes is too short."""
_LOST = re.compile(r"gloo|Connection (closed|reset)|Broken pipe", re.IGNORECASE)  # gloo raises plain RuntimeErrors


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
            UserError: on every process, if ``action`` raised one; only rank 0 prints it.
        """
        return self.agree(action if self.leads else lambda: None)

    def agree(self, action: Callable[[], Result]) -> Result:
        """Runs ``action`` on every process, and waits until it has ended on all.

        Raises:
            UserError: on every process, if ``action`` raised one on any; of those that are the same, one is printed.
        """
        if self.world == 1:
            return action()
        result, error = None, None
        try:
            result = action()
        except UserError as caught:
            error = caught
        said: list[str | None] = [None] * self.world
        dist.all_gather_object(said, None if error is None else str(error), self.patient)
        if error is not None and said.index(str(error)) == self.rank:
            raise error
        for sentence in said:
            if sentence is not None:
                raise ToldElsewhere(sentence)
        return result  # type: ignore[return-value]  # without an error there is one

    def gather(self, value: object) -> list:
        """Returns the values of all processes, in the order of ranks; every process must call this."""
        if self.world == 1:
            return [value]
        values: list = [None] * self.world
        dist.all_gather_object(values, value)
        return values

    def copy_from_first(self, tensors: Iterable[torch.Tensor]) -> None:
        """Copies the values of rank 0 into these contiguous tensors of every process; every process must call this."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def leave(self) -> None:
        """Ends this process's part in the group, if there is one."""
        if self.world > 1:
            dist.destroy_process_group()


class Vote:
    """Whether a flag is set in any process, asked again and again without waiting for the others.

    Args:
        processes: this process and its group.
    """

    def __init__(self, processes: Processes):
        self._processes = processes
        self._pending: tuple[Tensor, dist.Work] | None = None

    def any_before(self, flag: bool) -> bool:
        """Returns whether the flag was set in any process when all called this the time before.

        A process that is alone gets its own flag at once.
        """
        if self._processes.world == 1:
            return flag
        before = self._result()
        value = torch.tensor(int(flag))
        work = dist.all_reduce(value, dist.ReduceOp.MAX, self._processes.patient, async_op=True)
        assert work is not None  # async_op
        self._pending = (value, work)
        return before

    def _result(self) -> bool:
        if self._pending is None:
            return False
        value, work = self._pending
        self._pending = None
        work.wait()
        return bool(value)

    def close(self) -> None:
        """Waits for the last vote, which every process must have cast."""
        self._result()


@contextmanager
def told_of_a_lost_process() -> Iterator[None]:
    """Raises UserError where torch reports that another process of the group is gone; that one has said why.

    Raises:
        UserError: another process has ended, or cannot be reached.
    """
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or _LOST.search(str(error)):
            raise UserError(
                "another process of this run has ended or cannot be reached, so that this one ends, too: see what that "
                "one printed; if it printed nothing, it was killed, perhaps for lack of memory"
            ) from error
        raise


def join_processes(device: DeviceChoice) -> Processes:
    """Joins the group that torchrun's variables describe (``place_of``); without them this process is alone.

    Notes are muted on all ranks but 0.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UserError: the variables are wrong, another launcher has started several processes, the processes do not find
            each other, or there is no such device for this process.
    """
    place = place_of(os.environ, os.isatty(0))
    chosen = choose_device(device, place.local_rank)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    mute_notes(place.rank != 0)
    patient = _join(chosen) if place.world > 1 else None
    return Processes(place.rank, place.world, chosen, place.local_world, patient)


def _join(device: torch.device) -> dist.ProcessGroup:
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except (dist.DistError, RuntimeError, ValueError) as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise UserError(
            f"the processes of this run do not find each other at {where} (MASTER_ADDR, MASTER_PORT): "
            f"{shorten(str(error), 200)}; see whether all were started, and whether rank 0 runs there"
        ) from error
    group = dist.new_group(backend="gloo", timeout=PATIENCE)
    assert not isinstance(group, int)  # new_group returns one only to processes outside the group
    return group
