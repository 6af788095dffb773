"""The command line of ``visualize``: its pictures, and the options of each."""

import argparse
from pathlib import Path

from dataprep.command_line import SentenceParser, comma_list, count, output_file
from vicregl_fast.augment.recipe import RECIPES
from vicregl_fast.data.config import ENGINES
from vicregl_fast.evaluation.command import add_output_stride, add_weights
from vicregl_fast.evaluation.segmentation.commands import add_masked_images

HERE = ("views",)
"""Pictures of no run, which lie in the current folder."""


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
        _add_choice(command, "which images, and which crops of them (0)")
    _add_masks(commands.add_parser("masks", help="masks predicted from the feature map, beside the true ones"))
    _add_similarity(commands.add_parser("similarity", help="how similar all cells are to a chosen one"))
    _add_pca(commands.add_parser("pca", help="cells in colours: like features, like colours"))
    for name, command in commands.choices.items():
        where = "here" if name in HERE else "in the run folder; here for a file of weights"
        command.add_argument(
            "--out", type=output_file, help=f"a file that ends in .png, .pdf, .svg, .jpg, ... (default: {where})"
        )
    return parser


def point(text: str) -> tuple[float, float]:
    """An argparse type: two numbers with a comma between."""
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} must be two numbers with a comma between, such as 120,80") from error
    return x, y


def _add_masks(parser: argparse.ArgumentParser) -> None:
    _add_backbone(parser)
    add_masked_images(parser)
    parser.add_argument(
        "--by", choices=("linear", "nearest"), default="linear", help="a linear head, or the nearest cells (linear)"
    )
    parser.add_argument("--train_count", type=count, default=200, help="training images learned from (200)")
    _add_choice(parser, "which images, and of the head (0)")


def _add_similarity(parser: argparse.ArgumentParser) -> None:
    _add_backbone(parser)
    parser.add_argument("--image", type=Path, required=True, help="file of the image in which the cell lies")
    parser.add_argument(
        "--at", type=point, action="append", metavar="X,Y", help="pixel in it; may be given several times (its middle)"
    )
    parser.add_argument("--images", type=Path, help="folder or store of other images, to be compared as well")
    _add_side(parser)
    _add_choice(parser, "which other images (0)")


def _add_pca(parser: argparse.ArgumentParser) -> None:
    _add_backbone(parser)
    parser.add_argument("--images", type=Path, required=True, help="folder of images, or a store")
    _add_side(parser)
    _add_choice(parser, "which images (0)")


def _add_backbone(parser: argparse.ArgumentParser) -> None:
    add_weights(parser, several=False)
    add_output_stride(parser)


def _add_side(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--side", type=count, default=448, help="pixels of an image's shorter side as it is seen (448)")


def _add_choice(parser: argparse.ArgumentParser, decides: str) -> None:
    parser.add_argument("--count", type=count, default=4, help="images drawn (4)")
    parser.add_argument("--seed", type=int, default=0, help=decides)
