"""Pretrains a backbone: ``python -m vicregl_fast.train [--config FILE] [--KEY VALUE ...]``; see ``--help``."""

import sys

from dataprep.errors import exit_on_user_error
from vicregl_fast.config import RunConfig, parse_config
from vicregl_fast.training.precision import choose_kernels
from vicregl_fast.training.processes import join_processes, leave_processes


def run(config: RunConfig) -> int:
    """Trains or resumes the run that ``config`` describes; gives the exit code."""
    from vicregl_fast.training.trainer import Trainer  # after parsing, so that --help need not wait for ffcv

    choose_kernels(config.train.deterministic)
    processes = join_processes(config.train.device)
    try:
        return Trainer(config, processes).run()
    finally:
        leave_processes(processes)


def main() -> None:
    """The command line."""
    with exit_on_user_error():
        code = run(parse_config())
    sys.exit(code)


if __name__ == "__main__":
    main()
