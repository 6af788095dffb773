"""What each task of a submitted job does."""

import os
import signal
import sys

from submitit import JobEnvironment
from submitit.helpers import Checkpointable

from dataprep.errors import exit_on_user_error
from vicregl_fast.config import parse_config
from vicregl_fast.train import run
from vicregl_fast.training.hang_watch import HangWatch
from vicregl_fast.training.signals import REQUEUE_EXIT_CODE
from vicregl_fast.training.slurm import meeting_port


class TrainingJob(Checkpointable):
    """Trains as ``vicregl_fast.train`` does, and ends with its exit code.

    On SLURM the batch script queues the job again on 75. On one machine submitit's own handler does, once the run has
    been stopped by SIGUSR1, which submitit sends before the limit; SIGTERM ends the job.

    Args:
        options: the command line of training.
    """

    def __init__(self, options: list[str]):
        self.options = options

    def __call__(self) -> None:
        """Runs the task."""
        environment = JobEnvironment()
        is_local = environment.cluster == "local"
        if is_local:
            os.environ.update(_as_torchrun(environment))
        watch = HangWatch()
        with exit_on_user_error():
            code = run(parse_config(self.options), watch)
        if is_local and code == REQUEUE_EXIT_CODE and watch.received == signal.SIGUSR1:
            signal.raise_signal(signal.SIGUSR1)
        if code:
            sys.exit(code)


def _as_torchrun(environment: JobEnvironment) -> dict[str, str]:
    named = {
        "RANK": environment.global_rank,
        "WORLD_SIZE": environment.num_tasks,
        "LOCAL_RANK": environment.local_rank,
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": meeting_port(int(environment.raw_job_id), 0),
    }
    return {name: str(value) for name, value in named.items()}
