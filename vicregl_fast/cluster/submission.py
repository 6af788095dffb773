"""Submits a job by submitit."""

import argparse
import io
import os
import shutil
from contextlib import redirect_stderr
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from dataprep.errors import UserError
from vicregl_fast.config import RunConfig

if TYPE_CHECKING:
    from submitit import Job

REQUEUE = (
    "code=$?",
    "# 75: the run was stopped, and the same command continues it. A job that is being cancelled is COMPLETING.",
    'if [ $code = 75 ] && [ "$(squeue --noheader --jobs "$SLURM_JOB_ID" --format %T)" = RUNNING ]; then',
    '    scontrol requeue "$SLURM_JOB_ID"',
    "fi",
    "exit $code",
)
"""Lines of a batch script after its ``srun``."""
SRUN_OPTIONS = ("--kill-on-bad-exit=0", "--wait=60")
"""Tasks that were stopped do not end at the same moment; those that wait for a crashed one end after a minute."""
MAX_TIMEOUTS = 10_000
"""How often submitit itself would queue a job again that came to its limit."""


def parameters(options: argparse.Namespace, config: RunConfig) -> dict[str, Any]:
    """Returns the parameters of the job, as submitit names them.

    Args:
        options: of ``launch_parser``.
        config: of the run.

    Raises:
        UserError: more than one machine is asked for locally, or the run would be told to save at once.
    """
    if options.signal_seconds >= 60 * options.time:
        raise UserError(
            f"--signal_seconds is {options.signal_seconds}, and the whole time {60 * options.time} s: give more --time"
        )
    if options.local:
        if options.nodes > 1:
            raise UserError(f"--local is this machine, and --nodes is {options.nodes}: leave one of them out")
        return {
            "tasks_per_node": options.gpus,
            "gpus_per_node": options.gpus,
            "timeout_min": options.time,
            "signal_delay_s": options.signal_seconds,
            "stderr_to_stdout": True,
        }
    more = {name: getattr(options, name) for name in ("partition", "account", "qos", "constraint")}
    return {
        "job_name": Path(config.run_dir).name,
        "nodes": options.nodes,
        "ntasks_per_node": options.gpus,
        "gpus_per_node": options.gpus,
        "cpus_per_task": options.cpus_per_gpu,
        "time": options.time,
        "signal_delay_s": options.signal_seconds,
        "stderr_to_stdout": True,
        "setup": [f"export SRUN_CPUS_PER_TASK={options.cpus_per_gpu}"],  # srun does not inherit it
        "srun_args": list(SRUN_OPTIONS),
        "teardown": list(REQUEUE),
        "additional_parameters": {"requeue": True} | ({} if options.mem is None else {"mem": options.mem}),
        **{name: value for name, value in more.items() if value is not None},
    }


def submit(local: bool, log_dir: Path, given: dict[str, Any], training: list[str]) -> "Job":
    """Submits the job.

    Args:
        local: run it on this machine, by processes that this one leaves behind.
        log_dir: folder of the logs, and of the files that submitit needs.
        given: its ``parameters``.
        training: the command line of training.

    Raises:
        UserError: submitit is not installed, there is no SLURM here or it refuses the job, or its files cannot be
            written.
    """
    if not local and shutil.which("sbatch") is None:
        raise UserError("there is no SLURM here, since sbatch is not found: submit from a login node, or give --local")
    os.environ["SUBMITIT_PREEMPT_SIGNAL"] = "USR1"  # which the run takes for a request to stop
    try:
        from submitit import LocalExecutor, SlurmExecutor
        from submitit.core.utils import FailedJobError, FailedSubmissionError
    except ModuleNotFoundError:
        raise UserError("submitit is not installed: pip install submitit, or use scripts/slurm_train.sbatch") from None
    from vicregl_fast.cluster.job import TrainingJob

    try:
        executor = (LocalExecutor if local else SlurmExecutor)(log_dir, max_num_timeout=MAX_TIMEOUTS)
        executor.update_parameters(**given)
        with redirect_stderr(io.StringIO()):  # the error says the same
            return executor.submit(TrainingJob(training))
    except OSError as error:
        raise UserError(f"the job's files cannot be written to {log_dir}: {error.strerror or error}") from error
    except (FailedJobError, FailedSubmissionError) as error:
        raise UserError(f"SLURM does not take the job: {shorten(str(error), 300)}") from error
