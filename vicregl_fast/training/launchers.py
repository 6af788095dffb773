"""Which place in a group of processes the launcher gives to this one, read from the variables that it sets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from dataprep.errors import UserError

TORCHRUN = "torchrun --nproc_per_node N -m vicregl_fast.train ..."


@dataclass(frozen=True)
class Place:
    """The place of a process in its group.

    Attributes:
        rank: number of the process, from 0.
        world: number of processes in the group.
        local_rank: its number among those of this machine, from 0.
        local_world: number of processes of this machine.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1


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
    """Reads the place of this process from torchrun's variables; without them, it is alone.

    Args:
        variables: of the environment.
        has_terminal: whether the process reads from a terminal.

    Raises:
        UserError: torchrun's variables are incomplete or wrong, or another launcher has started several processes, each
            of which would take itself for the only one.
    """
    given = {name for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK") if variables.get(name)}
    if given:
        return _torchruns_place(variables, given)
    _refuse_several(variables, has_terminal)
    return Place()


def speaks_for_its_machine(variables: Mapping[str, str]) -> bool:
    """Whether this is the one process of its machine that says what every process of it finds."""
    return _count(variables, "LOCAL_RANK") == 0


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
    if world > 1:
        _number(variables, "MASTER_PORT", 1, below=1 << 16)
    local_world = _number(variables, "LOCAL_WORLD_SIZE", 1, below=world + 1, default=world)
    numbered = next((_count(variables, name) for name in LOCAL_RANKS if variables.get(name)), 0)
    return Place(rank, world, _number(variables, "LOCAL_RANK", 0, below=local_world, default=numbered), local_world)


def _refuse_several(variables: Mapping[str, str], has_terminal: bool) -> None:
    if _is_one_of_several_tasks(variables, has_terminal):
        raise UserError(
            f"srun has started several tasks, of which this is number {variables.get('SLURM_PROCID', '0')}, and each "
            "would train on its own: let it start one torchrun on each node "
            f"(srun --ntasks-per-node=1 {TORCHRUN}), or a single task (srun --ntasks=1)"
        )
    for launcher in LAUNCHERS:
        if _count(variables, launcher.size) > 1 or _count(variables, launcher.rank) > 0:
            raise UserError(
                f"{launcher.name} has started several processes ({launcher.size}, {launcher.rank}), and each would "
                f"train on its own: start with {TORCHRUN}, on each node"
            )


def _is_one_of_several_tasks(variables: Mapping[str, str], has_terminal: bool) -> bool:
    """Whether this is one of several tasks of a SLURM step.

    A script of ``sbatch`` and a shell of ``salloc`` too have SLURM_NTASKS and SLURM_PROCID=0, but run once; only
    ``srun`` counts the tasks of a step. Of the shells that ``srun --pty`` starts, one has the terminal.
    """
    if _count(variables, "SLURM_PROCID") > 0:
        return True
    if has_terminal and variables.get("SLURM_PTY_PORT"):
        return False
    if variables.get("SLURM_STEP_NUM_TASKS"):
        return _count(variables, "SLURM_STEP_NUM_TASKS") > 1
    return bool(variables.get("SLURM_STEP_ID")) and _count(variables, "SLURM_NTASKS") > 1


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


def _count(variables: Mapping[str, str], name: str) -> int:
    """The number in a variable of another program; 0 where there is none."""
    text = variables.get(name, "")
    return int(text) if text.isdecimal() else 0


def _and(names: list[str]) -> str:
    return " and ".join(names)
