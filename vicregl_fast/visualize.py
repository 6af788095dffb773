"""Draws pictures: ``python -m vicregl_fast.visualize COMMAND ...``; ``--help`` lists the commands."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from dataprep.atomic import atomic_file
from dataprep.errors import UserError, exit_on_user_error
from vicregl_fast.seeds import check_seed
from vicregl_fast.visualization.commands import PICTURES
from vicregl_fast.visualization.options import HERE, visualize_parser

ENDINGS = (".png", ".pdf", ".svg", ".jpg", ".jpeg", ".webp", ".eps")
"""Of files of pictures, which say what kind they are."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Draws one picture, writes it, as PNG where nothing else is asked for, and prints its path.

    Args:
        arguments: of the command line, without the program's name; None means ``sys.argv``.
    """
    with exit_on_user_error():
        options = visualize_parser(__doc__).parse_args(arguments)
        check_seed(getattr(options, "seed", 0))
        out = options.out or _default_out(options)
        if out.suffix.lower() not in ENDINGS:
            raise UserError(f"--out {out} does not say what kind of picture it is: end it in {', '.join(ENDINGS)}")
        figure = PICTURES[options.command](options)
        with atomic_file(out) as file:
            figure.savefig(file, format=out.suffix[1:].lower(), dpi=110)
        print(out)


def _default_out(options: argparse.Namespace) -> Path:
    name = f"{options.command}.png"
    if options.command in HERE:
        return Path(name)
    from vicregl_fast.runs.folder import RunFolder

    run = RunFolder.holding(options.run if options.run.is_dir() else options.run.absolute())
    return run.path / name if run.config.is_file() or options.run.is_dir() else Path(name)


if __name__ == "__main__":
    main()
