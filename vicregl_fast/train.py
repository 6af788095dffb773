"""Pretrains a backbone: ``python -m vicregl_fast.train [--config FILE] [--KEY VALUE ...]``; see ``--help``."""

import sys
from typing import TYPE_CHECKING

from dataprep.errors import exit_on_user_error
from dataprep.stopping import check_stop, clean_stop
from vicregl_fast.config import RunConfig, parse_config
from vicregl_fast.training.signals import exit_code

if TYPE_CHECKING:
    from vicregl_fast.training.processes import Processes


def run(config: RunConfig) -> int:
    """Trains or resumes the run that ``config`` describes.

    Returns:
        The exit code for this process, as ``Trainer.run`` gives it.

    Raises:
        UserError: an option or a file is wrong, or the run cannot go on.
    """
    processes: Processes | None = None
    try:
        with clean_stop():  # a signal during a conversion removes the unfinished store
            from vicregl_fast.training.precision import choose_kernels
            from vicregl_fast.training.processes import join_processes
            from vicregl_fast.training.trainer import Trainer

            choose_kernels(config.train.deterministic)
            processes = join_processes(config.train.device)
            trainer = Trainer(config, processes)
            check_stop()
        return trainer.run()
    except SystemExit as stop:
        assert isinstance(stop.code, int)
        return exit_code(stop.code - 128)
    finally:
        if processes is not None:
            processes.leave()


def main() -> None:
    """Runs the command line, and ends the program with the run's exit code."""
    with exit_on_user_error():
        code = run(parse_config())
    sys.exit(code)


if __name__ == "__main__":
    main()
