"""What the commands of ``python -m vicregl_fast.evaluate`` are made of."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataprep.command_line import count, output_file
from vicregl_fast.models.config import STRIDES


@dataclass(frozen=True)
class Command:
    """One word of the command line.

    Attributes:
        help: what it does.
        settings: a dataclass whose fields were made by ``option``.
        add_arguments: adds its other options.
        run: does it, given the parsed options and the settings made of them.
    """

    help: str
    settings: type[Any]
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace, Any], None]


def add_weights(parser: ArgumentParser, several: bool) -> None:
    """Adds the options that name the backbone, or the backbones if ``several`` may be given."""
    parser.add_argument(
        "--run",
        "--weights",
        type=Path,
        required=True,
        action="append" if several else "store",
        help="run folder, checkpoint, or file of weights" + ("; may be given several times" if several else ""),
    )
    parser.add_argument(
        "--backbone",
        metavar="NAME",
        action="append" if several else "store",
        help="timm model, where the file does not say it" + ("; once, or once for each --run" if several else ""),
    )


def add_output_stride(parser: ArgumentParser, default: str = "as trained") -> None:
    """Adds the option that dilates backbones; ``default`` says what holds without it."""
    parser.add_argument(
        "--output_stride", type=int, choices=STRIDES, help=f"pixels per cell, by dilation (default: {default})"
    )


def add_comparison(parser: ArgumentParser) -> None:
    """Adds the options of commands that judge backbones (``comparison.run_judge``)."""
    add_weights(parser, several=True)
    parser.add_argument("--random_init", action="store_true", help="also the same network untrained")
    parser.add_argument("--seed", type=int, default=0, help="of everything drawn, the untrained network too (0)")
    parser.add_argument(
        "--seeds",
        type=count,
        default=1,
        help="repeat what draws with so many seeds, from --seed on; shows the spread (1)",
    )
    parser.add_argument("--json", type=output_file, help="write the table to this file, too")
