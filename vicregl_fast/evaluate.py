"""Evaluates a backbone: ``python -m vicregl_fast.evaluate COMMAND ...``; ``--help`` lists the commands."""

import argparse
import sys
from collections.abc import Sequence

from dataprep.command_line import SentenceParser
from dataprep.errors import exit_on_user_error
from vicregl_fast.evaluation.classification import commands as classification
from vicregl_fast.evaluation.embedding import commands as embedding
from vicregl_fast.evaluation.options import add_options, from_options
from vicregl_fast.evaluation.segmentation import commands as segmentation

COMMANDS = {**classification.COMMANDS, **segmentation.COMMANDS, **embedding.COMMANDS}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command. Those that judge print a table, and write it as JSON if ``--json`` is given.

    Args:
        arguments: of the command line, without the program's name; None means ``sys.argv``.
    """
    given = sys.argv[1:] if arguments is None else arguments
    with exit_on_user_error():
        options = evaluate_parser().parse_args(given)
        options.arguments = list(given)
        command = COMMANDS[options.command]
        settings = from_options(command.settings, options)
        from vicregl_fast.devices import memory_shortage_said  # with torch, which options need not wait for

        with memory_shortage_said("a smaller --batch_size"):
            command.run(options, settings)


def evaluate_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = SentenceParser(prog="python -m vicregl_fast.evaluate", description=__doc__)
    words = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        word = words.add_parser(name, help=command.help)
        command.add_arguments(word)
        add_options(word, command.settings)
    return parser


if __name__ == "__main__":
    main()
