"""The command line of ``visualize``: its pictures, and the options of each."""

import argparse
from pathlib import Path

from dataprep.command_line import SentenceParser, comma_list, count, output_file
from vicregl_fast.augment.recipe import RECIPES
from vicregl_fast.data.config import ENGINES


def visualize_parser(description: str | None) -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = SentenceParser(prog="python -m vicregl_fast.visualize", description=description)
    commands = parser.add_subparsers(dest="command", required=True)
    curve = commands.add_parser("curves", help="a run's metrics")
    curve.add_argument("run", type=Path, metavar="RUN", help="run folder")
    match = commands.add_parser("matches", help="the cells that the loss matches between two views")
    match.add_argument("--run", type=Path, required=True, help="run folder, or a checkpoint file in it")
    match.add_argument("--images", type=Path, required=True, help="folder of images, or a store")
    match.add_argument("--gamma", type=count, help="matches kept (default: the run's loss.gamma_large)")
    view = commands.add_parser("views", help="images and their views, from each engine side by side")
    view.add_argument("--path", type=Path, required=True, help="store, or folder of images")
    view.add_argument("--engines", type=comma_list(ENGINES), default=list(ENGINES), help=f"({','.join(ENGINES)})")
    view.add_argument("--views", choices=RECIPES, default="two", help="views of an image (two)")
    view.add_argument("--size", type=count, default=224, help="pixels of a side of the large views (224)")
    for command in (match, view):
        command.add_argument("--count", type=count, default=4, help="images drawn (4)")
        command.add_argument("--seed", type=int, default=0, help="which images, and which crops of them (0)")
    for command, where in ((curve, "in the run folder"), (match, "in the run folder"), (view, "here")):
        command.add_argument("--out", type=output_file, help=f"the PNG (default: {where})")
    return parser
