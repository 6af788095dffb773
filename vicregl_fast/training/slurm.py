"""What SLURM's variables say of the tasks that one srun has started."""

import re
from collections.abc import Mapping

PORTS = range(15000, 30000)
"""Where processes may meet: below the ports that Linux gives to connections by itself."""


def counts_several_tasks(variables: Mapping[str, str], has_terminal: bool) -> bool:
    """Whether this is one of several tasks of a SLURM step.

    A script of ``sbatch`` and a shell of ``salloc`` too have SLURM_NTASKS and SLURM_PROCID=0, but run once; only
    ``srun`` counts the tasks of a step. Of the shells that ``srun --pty`` starts, one has the terminal.
    """
    if count(variables, "SLURM_PROCID") > 0:
        return True
    if has_terminal and variables.get("SLURM_PTY_PORT"):
        return False
    return bool(variables.get("SLURM_STEP_ID") or variables.get("SLURM_STEP_NUM_TASKS")) and tasks(variables) > 1


def tasks(variables: Mapping[str, str]) -> int:
    """Number of tasks of this step; 0 where SLURM does not say."""
    return count(variables, "SLURM_STEP_NUM_TASKS") or count(variables, "SLURM_NTASKS")


def as_torchrun(variables: Mapping[str, str]) -> dict[str, str]:
    """Names a task's place as torchrun does; what SLURM does not say is empty.

    The tasks meet on the step's first node, where task 0 runs, at a port that follows from job and step, so that steps
    which share a node choose different ones. MASTER_ADDR and MASTER_PORT, where they are set, win.
    """
    job, step = count(variables, "SLURM_JOB_ID"), count(variables, "SLURM_STEP_ID")
    nodes = variables.get("SLURM_STEP_NODELIST") or variables.get("SLURM_JOB_NODELIST", "")
    return {
        "RANK": variables.get("SLURM_PROCID", ""),
        "WORLD_SIZE": str(tasks(variables)),
        "LOCAL_RANK": variables.get("SLURM_LOCALID", ""),
        "MASTER_ADDR": variables.get("MASTER_ADDR") or first_node(nodes),
        "MASTER_PORT": variables.get("MASTER_PORT") or str(meeting_port(job, step)),
    }


def first_node(nodes: str) -> str:
    """Name of the first of the nodes that SLURM lists, as in ``node[01-03,07],other-1``; empty where it lists none."""
    first = re.match(r"(?:\[[^]]*]|[^,[])*", nodes)
    assert first is not None  # it matches an empty text, too
    return re.sub(r"\[(\w*)[^]]*]", r"\1", first.group())


def meeting_port(job: int, step: int) -> int:
    """The port at which the processes of a job's step meet."""
    return PORTS[(job + 1009 * step) % len(PORTS)]  # a prime, so that the steps of a job are far from the next job's


def count(variables: Mapping[str, str], name: str) -> int:
    """The number in a variable of another program; 0 where there is none."""
    text = variables.get(name, "")
    return int(text) if text.isdecimal() else 0
