"""The processes of a run: a single one, or the group that torchrun or srun started. In the group each has a rank."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from dataprep.errors import ToldElsewhere, UserError, reason_of
from dataprep.notes import mute_notes
from dataprep.process_identity import this_hardware
from vicregl_fast.choices import DeviceChoice
from vicregl_fast.devices import choose_device, gpu_identity
from vicregl_fast.training.hang_watch import HangWatch
from vicregl_fast.training.launchers import Place, place_of

Result = TypeVar("Result")

JOINING = timedelta(minutes=10)
"""How long processes wait for the last one to be started."""
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
        core_sharers: number of those that may run on the same cores; srun can give each its own.
        watch: is told when a step has ended.
        patient: a second group of the same processes, which waits as long as ``PATIENCE``; None for a single process.
    """

    rank: int
    world: int
    device: torch.device
    local_world: int = 1
    core_sharers: int = 1
    watch: HangWatch = field(default_factory=HangWatch)
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

    def gather_on_first(self, value: object) -> list:
        """Returns the values of all processes on rank 0, and nothing elsewhere; every process must call this."""
        if self.world == 1:
            return [value]
        values: list | None = [None] * self.world if self.leads else None
        dist.gather_object(value, values, group=self.patient)
        return values or []

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


def join_processes(device: DeviceChoice, watch: HangWatch | None = None) -> Processes:
    """Joins the group that the launcher's variables describe (``place_of``); without them this process is alone.

    Notes are muted on all ranks but 0.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.
        watch: watches this process; None for one that watches nothing.

    Raises:
        UserError: the variables are wrong, another launcher has started several processes, the processes do not find
            each other, or there is no such device for this process.
    """
    watch = watch or HangWatch()
    place = place_of(os.environ, os.isatty(0))
    chosen = choose_device(device, place.local_rank)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    mute_notes(place.rank != 0)
    if place.world == 1:
        watch.beat()
        return Processes(0, 1, chosen, watch=watch)
    patient = _join(place, chosen)
    watch.beat()
    local_world, core_sharers = _neighbours(place, chosen, patient)
    return Processes(place.rank, place.world, chosen, local_world, core_sharers, watch, patient)


def _join(place: Place, device: torch.device) -> dist.ProcessGroup:
    os.environ.update(MASTER_ADDR=place.host, MASTER_PORT=str(place.port))  # torch looks for them there
    try:
        found = next(dist.rendezvous("env://", place.rank, place.world, timeout=JOINING))
        store = dist.PrefixStore("vicregl_fast", found[0])
        store.set(str(place.rank), "started")
        store.wait([str(rank) for rank in range(place.world)], JOINING)
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=place.rank, world_size=place.world)
    except (dist.DistError, RuntimeError, ValueError) as error:
        raise UserError(
            f"the processes of this run do not find each other at {place.host}:{place.port} (MASTER_ADDR, "
            f"MASTER_PORT): {reason_of(error)}; see whether all were started, and whether rank 0 runs there"
        ) from error
    group = dist.new_group(backend="gloo", timeout=PATIENCE)
    assert not isinstance(group, int)  # new_group returns one only to processes outside the group
    return group


def _neighbours(place: Place, device: torch.device, group: dist.ProcessGroup) -> tuple[int, int]:
    """Counts the processes on this machine, and those of them that share cores with this one.

    Raises:
        UserError: two processes have taken one GPU.
    """
    own = this_hardware(), os.sched_getaffinity(0), gpu_identity(device)
    found: list[tuple[str, set[int], str | None]] = [own] * place.world
    dist.all_gather_object(found, own, group)
    gpus = [gpu for _, _, gpu in found]
    without = [rank for rank, gpu in enumerate(gpus) if gpu is not None and gpu in gpus[:rank]]
    if without:
        kind = UserError if place.rank == without[0] else ToldElsewhere
        raise kind(f"process {without[0]} of this run has no GPU of its own; start as many processes as GPUs")
    here = [cores for machine, cores, _ in found if machine == own[0]]
    return len(here), sum(not cores.isdisjoint(own[1]) for cores in here)
