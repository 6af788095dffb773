"""Draws pictures: ``python -m vicregl_fast.visualize COMMAND ...``; ``--help`` lists the commands."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataprep import own_outputs
from dataprep.atomic import atomic_file
from dataprep.errors import UserError, exit_on_user_error
from vicregl_fast.seeds import check_seed
from vicregl_fast.visualization.commands import PICTURES
from vicregl_fast.visualization.options import HERE, visualize_parser

if TYPE_CHECKING:
    from PIL import Image

NAMES_NO_MAKER = (".jpg", ".jpeg", ".webp")
"""Of pictures in which Matplotlib does not name itself of its own accord."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Draws one picture, writes it, as PNG where nothing else is asked for, and prints its path.

    Args:
        arguments: of the command line, without the program's name; None means ``sys.argv``.
    """
    with exit_on_user_error():
        options = visualize_parser(__doc__).parse_args(arguments)
        check_seed(getattr(options, "seed", 0))
        out = options.out or _default_out(options)
        _check_out(out)
        figure = PICTURES[options.command](options)
        ending = out.suffix.lower()
        named: dict[str, Any] = {"pil_kwargs": {"exif": _maker()}} if ending in NAMES_NO_MAKER else {}
        with atomic_file(out) as file:
            figure.savefig(file, format=ending[1:], dpi=110, **named)
        print(out)


def _check_out(out: Path) -> None:
    """Raises UserError where the picture would have no kind, or would replace a file that is none of ours."""
    if out.suffix.lower() not in own_outputs.PICTURES:
        endings = ", ".join(own_outputs.PICTURES)
        raise UserError(f"--out {out} does not say what kind of picture it is: end it in {endings}")
    if obstacle := own_outputs.in_the_way(out):
        raise UserError(obstacle)


def _maker() -> "Image.Exif":
    from PIL import Image

    exif = Image.Exif()
    exif[own_outputs.SOFTWARE] = own_outputs.MAKER
    return exif


def _default_out(options: argparse.Namespace) -> Path:
    name = f"{options.command}.png"
    if options.command in HERE:
        return Path(name)
    from vicregl_fast.runs.folder import RunFolder

    run = RunFolder.holding(options.run if options.run.is_dir() else options.run.absolute())
    return run.path / name if run.config.is_file() or options.run.is_dir() else Path(name)


if __name__ == "__main__":
    main()
