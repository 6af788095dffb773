"""A stand-in for SLURM's srun: ``python -m tests.srun [--OPTION ...] PROGRAM ...`` starts SLURM_NTASKS tasks.

It sets the variables that srun sets, hands on SIGTERM and SIGUSR1 to the tasks, and ends with the largest exit code.
"""

import os
import signal
import subprocess
import sys
from itertools import dropwhile


def variables(job: int, world: int, rank: int) -> dict[str, str]:
    """Of a task of a step of one node."""
    named = {
        "JOB_ID": job,
        "JOB_NODELIST": "localhost",
        "NTASKS": world,
        "STEP_ID": 0,
        "STEP_NUM_TASKS": world,
        "STEP_NODELIST": "localhost",
        "PROCID": rank,
        "LOCALID": rank,
        "NODEID": 0,
    }
    return {f"SLURM_{name}": str(value) for name, value in named.items()}


def main() -> int:
    """Runs the tasks, and returns the exit code."""
    words = sys.argv[1:]
    output = words.index("--output") if "--output" in words else None  # of all tasks; %j and %t stay as they are
    if output is not None:
        _, name = words[output : output + 2]
        del words[output : output + 2]
        sys.stdout = sys.stderr = open(name, "a")  # noqa: SIM115
    program = list(dropwhile(lambda word: word.startswith("--"), words))
    job, world = int(os.environ.get("SLURM_JOB_ID", os.getpid())), int(os.environ["SLURM_NTASKS"])
    tasks: list[subprocess.Popen] = []
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda number, _: [task.send_signal(number) for task in tasks])
    for rank in range(world):
        environment = {**os.environ, **variables(job, world, rank)}
        tasks.append(subprocess.Popen(program, env=environment, stdout=sys.stdout, stderr=sys.stderr))
    codes = [task.wait() for task in tasks]
    return max(code if code >= 0 else 128 - code for code in codes)


if __name__ == "__main__":
    sys.exit(main())
