"""Turns a dataclass of settings into command-line options: one for each field, with its default and help."""

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import field, fields
from typing import Any, TypeVar

from dataprep.errors import UserError

Settings = TypeVar("Settings")


def default_workers() -> int:
    """The default number of worker processes: one for each core that this process may use, but at most four."""
    return min(4, len(os.sched_getaffinity(0)))


def option(
    default: Any,
    description: str,
    choices: Sequence[str] | None = None,
    read: Callable[[str], Any] | None = None,
    shown: str | None = None,
) -> Any:
    """Declares a dataclass field from which ``add_options`` makes an option.

    Args:
        default: the default value.
        description: the option's help text.
        choices: the values allowed; None allows all.
        read: makes a value of what is given, as an argparse type; None for the type of the default.
        shown: the default as a user would give it; None for what it prints as.
    """
    metadata = {"help": description, "choices": choices, "read": read or type(default), "shown": shown or default}
    return field(default=default, metadata=metadata)


def add_options(parser: ArgumentParser, settings: type[Any]) -> None:
    """Adds an option ``--field_name`` for every field of the dataclass ``settings``; all were made by ``option``."""
    for each in fields(settings):
        if isinstance(each.default, bool):
            assert not each.default
            parser.add_argument(f"--{each.name}", action="store_true", help=each.metadata["help"])
            continue
        parser.add_argument(
            f"--{each.name}",
            type=each.metadata["read"],
            default=each.default,
            choices=each.metadata["choices"],
            help=f"{each.metadata['help']} (default: {each.metadata['shown']})",
        )


def from_options(settings: type[Settings], options: Namespace) -> Settings:
    """Makes the dataclass ``settings`` from parsed options."""
    return settings(**{each.name: getattr(options, each.name) for each in fields(settings)})  # type: ignore[arg-type]


def check_at_least(flag: str, value: int, least: int) -> None:
    """Raises a UserError if ``value`` is below ``least``."""
    if value < least:
        raise UserError(f"{flag} is {value}, but must be {least} or more")
