"""Parsing of command lines, in which a mistake is reported in one sentence, like every other wrong input."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from dataprep.errors import UserError
from dataprep.own_outputs import in_the_way


class SentenceParser(argparse.ArgumentParser):
    """An ``ArgumentParser`` that raises UserError instead of printing its usage and exiting.

    Options are defined with ``_``, are also accepted with ``-`` in its place, and cannot be abbreviated. Those of type
    ``Path`` are read by ``any_path``.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"allow_abbrev": False, **options})
        self.register("type", Path, any_path)

    def parse_args(self, arguments: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parses like ``ArgumentParser.parse_args``, after ``with_underscores``."""
        return super().parse_args(with_underscores(sys.argv[1:] if arguments is None else arguments), namespace)

    def error(self, message: str) -> NoReturn:
        """Raises a UserError with argparse's message and a hint at ``--help``."""
        raise UserError(f"{message}; {self.prog} --help shows how it is used")


def with_underscores(arguments: Sequence[str]) -> list[str]:
    """Spells the name of every option as it is defined: ``--batch-size=8`` becomes ``--batch_size=8``."""
    spelt: list[str] = []
    for number, argument in enumerate(arguments):
        if argument == "--":  # only positional arguments follow
            return [*spelt, *arguments[number:]]
        name, equals, value = argument.partition("=")
        spelt.append("--" + name[2:].replace("-", "_") + equals + value if name.startswith("--") else argument)
    return spelt


def comma_list(choices: Sequence[str]) -> Callable[[str], list[str]]:
    """Makes an argparse type: names out of ``choices``, separated by commas."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        unknown = [name for name in names if name not in choices]
        if unknown:
            raise argparse.ArgumentTypeError(f"there is no {unknown[0]!r}; choose from {','.join(choices)}")
        return names

    return parse


def any_path(text: str) -> Path:
    """An argparse type: a path, which may begin with ``~``, as no shell replaces it behind an equals sign.

    An empty one, as a shell's unset variable gives, would be the current folder.
    """
    if not text:
        raise argparse.ArgumentTypeError("it is empty, and a path is needed")
    return Path(with_home(text))


def with_home(text: str) -> str:
    """A path with the home folder in the place of a ``~`` at its beginning."""
    return os.path.expanduser(text) if text.startswith("~/") else text


def output_file(text: str) -> Path:
    """An argparse type: the path of a file of results or of a picture to write (``new_file``).

    A file that is there is refused unless such a program made it (``own_outputs``).
    """
    path = new_file(text)
    if obstacle := in_the_way(path):
        raise argparse.ArgumentTypeError(obstacle)
    return path


def new_file(text: str) -> Path:
    """An argparse type: the path of a file to write; its folder must exist, so that no work is done in vain."""
    path = any_path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{path} cannot be written: make the folder {path.parent} first")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} cannot be written: it is a folder, and a file name is needed")
    return path


def count(text: str) -> int:
    """An argparse type: a whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is too few; give at least 1")
    return value
