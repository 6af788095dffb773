"""Command lines whose mistakes end as every other wrong input does: in one sentence."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from dataprep.errors import UserError


class SentenceParser(argparse.ArgumentParser):
    """An ``ArgumentParser`` that raises UserError instead of printing its usage and exiting.

    Options are named with ``_``, are accepted with ``-`` in its place, and cannot be shortened.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"allow_abbrev": False, **options})

    def parse_args(self, arguments: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """As ``ArgumentParser.parse_args``."""
        return super().parse_args(with_underscores(sys.argv[1:] if arguments is None else arguments), namespace)

    def error(self, message: str) -> NoReturn:
        """Raises a UserError."""
        raise UserError(f"{message}; {self.prog} --help shows how it is used")


def with_underscores(arguments: Sequence[str]) -> list[str]:
    """The command line with every option spelt as it is defined: ``--batch_size=8`` becomes ``--batch_size=8``."""
    spelt: list[str] = []
    for number, argument in enumerate(arguments):
        if argument == "--":  # what follows are no options
            return [*spelt, *arguments[number:]]
        name, equals, value = argument.partition("=")
        spelt.append("--" + name[2:].replace("-", "_") + equals + value if name.startswith("--") else argument)
    return spelt


def comma_list(choices: Sequence[str]) -> Callable[[str], list[str]]:
    """An argument's type: some of the choices, with commas between them."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        unknown = [name for name in names if name not in choices]
        if unknown:
            raise argparse.ArgumentTypeError(f"there is no {unknown[0]!r}; choose from {','.join(choices)}")
        return names

    return parse


def output_file(text: str) -> Path:
    """An argument's type: a file that can be written, as far as its folder tells before the work."""
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{path} cannot be written: make the folder {path.parent} first")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} cannot be written: it is a folder, and a file name is needed")
    return path


def count(text: str) -> int:
    """An argument's type: a whole number from 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is too few; give at least 1")
    return value
