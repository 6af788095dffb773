"""The recipe that a benchmark measures, from the options of its command line."""

import argparse
from collections.abc import Mapping

from vicregl_fast.config import RunConfig, parse_config


def chosen_recipe(options: argparse.Namespace, settings: Mapping[str, object]) -> RunConfig:
    """Reads ``--config`` as training does; then ``settings`` win, and over these what stands behind ``--``.

    Args:
        options: with ``config`` (a file or None) and ``training`` (words of training's command line).
        settings: by training's names, such as ``model.backbone``; those that are None are left out.

    Raises:
        UserError: an option is unknown or has an impossible value, or the file cannot be read.
    """
    given = [] if options.config is None else ["--config", str(options.config)]
    given += [f"--{name}={value}" for name, value in settings.items() if value is not None]
    return parse_config([*given, *options.training])
