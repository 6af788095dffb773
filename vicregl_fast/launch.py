"""Submits training to a SLURM cluster, as a job that is queued again until its run is complete.

What stands behind -- are options of vicregl_fast.train; they are checked before anything is submitted.
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from dataprep.errors import exit_on_user_error
from vicregl_fast.cluster.options import launch_parser
from vicregl_fast.config import parse_config


def main(arguments: Sequence[str] | None = None) -> None:
    """Submits one job, or prints it if ``--dry_run`` is given.

    Args:
        arguments: of the command line, without the program's name; None means ``sys.argv``.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    with exit_on_user_error():
        cut = given.index("--") if "--" in given else len(given)
        options, training = launch_parser(__doc__).parse_args(given[:cut]), given[cut + 1 :]
        config = parse_config(training)

        from vicregl_fast.cluster.submission import parameters, submit
        from vicregl_fast.data.order import GlobalBatches

        GlobalBatches(config.batch_size, config.batch_size, config.seed, world=options.nodes * options.gpus)
        wanted = parameters(options, config)
        log_dir = options.log_dir or Path(config.run_dir) / "jobs"
        if options.dry_run:
            print("\n".join(f"{name}: {value}" for name, value in wanted.items()))
        else:
            print(f"job {submit(options.local, log_dir, wanted, training).job_id} is submitted")
        print(f"logs: {log_dir}")
        print(f"command: {shlex.join(['python', '-m', 'vicregl_fast.train', *training])}")


if __name__ == "__main__":
    main()
