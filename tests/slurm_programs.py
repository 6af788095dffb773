"""Stand-ins for SLURM's programs, which start real processes on this machine."""

import os
import sys
from pathlib import Path

JOB = 4242


def write_programs(folder: Path) -> dict[str, str]:
    """Writes srun, sbatch, scontrol and squeue into ``folder``.

    squeue finds the job in the state that the variable STATE says, or RUNNING; scontrol appends its arguments to the
    file ``scontrol.txt`` in ``folder``; sbatch starts the script as a job of two tasks.

    Returns:
        The environment in which they are found.
    """
    batch = f'SLURM_JOB_ID={JOB} bash "$1" >/dev/null 2>&1 &'
    texts = {
        "srun": f'exec {sys.executable} -m tests.srun "$@"',
        "sbatch": f"{batch} echo $! > {folder}/pid; echo Submitted batch job {JOB}",
        "squeue": 'echo "${STATE:-RUNNING}"',
        "scontrol": f'echo "$@" >> {folder}/scontrol.txt',
        "python": f'exec {sys.executable} "$@"',
    }
    for name, text in texts.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
    root = Path(__file__).resolve().parents[1]
    path = f"{folder}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(root), "SLURM_NTASKS": "2"}
