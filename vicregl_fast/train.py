"""Pretrains a backbone: ``python -m vicregl_fast.train [--config FILE] [--KEY VALUE ...]``; see ``--help``."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path

from dataprep.errors import ToldElsewhere, UserError, exit_on_user_error
from dataprep.stopping import check_stop, clean_stop
from vicregl_fast.config import RunConfig, parse_config
from vicregl_fast.training.hang_watch import HangWatch
from vicregl_fast.training.launchers import speaks_for_its_machine
from vicregl_fast.training.signals import exit_code

SMALLER = "--train.chunk, which keeps the batch, or a smaller --batch_size"
"""What makes a step take less memory."""


def run(config: RunConfig, watch: HangWatch | None = None) -> int:
    """Trains or resumes the run that ``config`` describes.

    Args:
        config: the configuration of the run.
        watch: watches this process, and is told which signal asks for a stop.

    Returns:
        The exit code for this process, as ``Trainer.run`` gives it.

    Raises:
        UserError: an option or a file is wrong, or the run cannot go on.
    """
    with ExitStack() as stack:
        try:
            watch = stack.enter_context((watch or HangWatch()).watching(os.environ))
            with clean_stop():  # a signal during a conversion removes the unfinished store
                from vicregl_fast.devices import memory_shortage_said
                from vicregl_fast.runs.folder import RunFolder
                from vicregl_fast.training.precision import choose_kernels
                from vicregl_fast.training.processes import join_processes, told_of_a_lost_process
                from vicregl_fast.training.trainer import Trainer

                choose_kernels(config.train.deterministic)
                processes = join_processes(config.train.device, watch)
                stack.callback(processes.leave)
                stack.enter_context(told_of_a_lost_process())
                stack.enter_context(memory_shortage_said(SMALLER))
                folder = RunFolder(Path(config.run_dir))
                processes.first(lambda: stack.enter_context(folder.held()))
                trainer = Trainer(config, processes)
                check_stop()
            return trainer.run()
        except SystemExit as stop:
            assert isinstance(stop.code, int)
            return exit_code(stop.code - 128)


def main() -> None:
    """Runs the command line, and ends the program with the run's exit code."""
    with exit_on_user_error():
        code = run(_parse())
    sys.exit(code)


def _parse() -> RunConfig:
    try:
        return parse_config()
    except UserError as error:
        if speaks_for_its_machine(os.environ):
            raise
        raise ToldElsewhere(str(error)) from error


if __name__ == "__main__":
    main()
