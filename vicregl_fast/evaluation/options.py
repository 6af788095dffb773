"""A settings dataclass as command line options: each field is an option, with the field's default and help."""

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import field, fields
from typing import Any, TypeVar

from dataprep.errors import UserError

Settings = TypeVar("Settings")


def default_workers() -> int:
    """Four worker processes, or as many as this process has cores."""
    return min(4, len(os.sched_getaffinity(0)))


def option(default: Any, description: str, choices: Sequence[str] | None = None) -> Any:
    """A dataclass field that ``add_options`` makes an option of; ``description`` is its help."""
    return field(default=default, metadata={"help": description, "choices": choices})


def add_options(parser: ArgumentParser, settings: type[Any]) -> None:
    """Adds an option ``--field_name`` for every field of the dataclass ``settings``, of its default's type."""
    for each in fields(settings):
        parser.add_argument(
            f"--{each.name}",
            type=type(each.default),
            default=each.default,
            choices=each.metadata["choices"],
            help=f"{each.metadata['help']} (default: {each.default})",
        )


def from_options(settings: type[Settings], options: Namespace) -> Settings:
    """The settings that parsed options give."""
    return settings(**{each.name: getattr(options, each.name) for each in fields(settings)})  # type: ignore[arg-type]


def check_at_least(flag: str, value: int, least: int) -> None:
    """Raises a UserError if ``value`` is below ``least``."""
    if value < least:
        raise UserError(f"{flag} is {value}, but must be {least} or more")
