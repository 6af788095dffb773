"""Which place in a group of processes the launcher gives to this one, read from the variables that it sets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from dataprep.errors import UserError
from vicregl_fast.training.slurm import as_torchrun, count, counts_several_tasks, tasks

TORCHRUN = "torchrun --nproc_per_node N -m vicregl_fast.train ..."


@dataclass(frozen=True)
class Place:
    """The place of a process in its group.

    Attributes:
        rank: number of the process, from 0.
        world: number of processes in the group.
        local_rank: its number among those of this machine, from 0.
        host: where the processes meet; empty for a single one, which meets nobody.
        port: the port there.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    host: str = ""
    port: int = 0


class Launcher(NamedTuple):
    """A program that starts several processes and does not say where they meet.

    Attributes:
        name: of the program.
        size, rank: its variables for the number of processes and for the number of this one.
    """

    name: str
    size: str
    rank: str


LAUNCHERS = (
    Launcher("mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    Launcher("mpirun", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"),
    Launcher("mpirun", "PMI_SIZE", "PMI_RANK"),
    Launcher("mpirun", "MPI_LOCALNRANKS", "MPI_LOCALRANKID"),
    Launcher("prun", "PMIX_SIZE", "PMIX_RANK"),
)
LOCAL_RANKS = ("SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID")
"""Where other launchers number the processes of a machine, for those who set RANK and WORLD_SIZE themselves."""


def place_of(variables: Mapping[str, str], has_terminal: bool = False) -> Place:
    """Reads the place of this process from torchrun's variables, or from SLURM's; without them, it is alone.

    Args:
        variables: of the environment.
        has_terminal: whether the process reads from a terminal.

    Raises:
        UserError: the variables are incomplete or wrong, or another launcher has started several processes, each of
            which would take itself for the only one.
    """
    given = {name for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK") if variables.get(name)}
    if given:
        return _torchruns_place(variables, given)
    is_task = counts_several_tasks(variables, has_terminal)
    _refuse_other_launchers(variables, is_task)
    if not is_task:
        return Place()
    if variables.get("SLURM_PTY_PORT"):
        raise UserError(
            f"srun --pty has started several tasks, and this is number {variables.get('SLURM_PROCID', '0')} of them: "
            "leave --pty out, and each task trains with the others, or train in the shell that has the terminal"
        )
    translated = as_torchrun(variables)
    return _torchruns_place(translated, {name for name, value in translated.items() if value})


def speaks_for_its_machine(variables: Mapping[str, str]) -> bool:
    """Whether this is the one process of its machine that says what every process of it finds."""
    return count(variables, "LOCAL_RANK" if variables.get("LOCAL_RANK") else "SLURM_LOCALID") == 0


def _torchruns_place(variables: Mapping[str, str], given: set[str]) -> Place:
    lacking = sorted({"RANK", "WORLD_SIZE"} - given)
    if lacking:
        raise UserError(
            f"{_and(sorted(given))} is set in the environment, and {_and(lacking)} is not: start with {TORCHRUN}, "
            f"which sets all of them, or unset {_and(sorted(given))} for a single process"
        )
    world = _number(variables, "WORLD_SIZE", 1)
    rank = _number(variables, "RANK", 0, below=world)
    if world > 1 and (lacking := [name for name in ("MASTER_ADDR", "MASTER_PORT") if not variables.get(name)]):
        raise UserError(
            f"this is process {rank} of {world}, and {_and(lacking)}, where they meet, is not set: "
            f"start with {TORCHRUN}"
        )
    port = _number(variables, "MASTER_PORT", 1, below=1 << 16) if world > 1 else 0
    local_world = _number(variables, "LOCAL_WORLD_SIZE", 1, below=world + 1, default=world)
    numbered = next((count(variables, name) for name in LOCAL_RANKS if variables.get(name)), 0)
    local_rank = _number(variables, "LOCAL_RANK", 0, below=local_world, default=numbered)
    return Place(rank, world, local_rank, variables["MASTER_ADDR"] if world > 1 else "", port)


def _refuse_other_launchers(variables: Mapping[str, str], is_task: bool) -> None:
    """Refuses what mpirun starts; ``srun --mpi`` sets the same variables, but counts its own tasks in them."""
    world, rank = (tasks(variables), count(variables, "SLURM_PROCID")) if is_task else (1, 0)
    for launcher in LAUNCHERS:
        size, number = count(variables, launcher.size), count(variables, launcher.rank)
        if (size > 1 and size != world) or (number > 0 and number != rank):
            raise UserError(
                f"{launcher.name} has started several processes ({launcher.size}, {launcher.rank}), and each would "
                f"train on its own: start with {TORCHRUN}, on each node"
            )


def _number(
    variables: Mapping[str, str], name: str, least: int, below: int | None = None, default: int | None = None
) -> int:
    text = variables.get(name, "")
    if not text and default is not None:
        return default
    if not text.isdecimal() or int(text) < least or (below is not None and int(text) >= below):
        upper = "" if below is None else f" to {below - 1}"
        raise UserError(
            f"{name} is {text!r} in the environment, and must be a whole number from {least}{upper}: start with "
            f"{TORCHRUN}, which sets it, or unset RANK, WORLD_SIZE and LOCAL_RANK for a single process"
        )
    return int(text)


def _and(names: list[str]) -> str:
    return " and ".join(names)
