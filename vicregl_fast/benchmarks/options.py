"""The command line of ``bench``: its parts, and the options of each."""

import argparse
from pathlib import Path

from dataprep.command_line import SentenceParser, comma_list, count, output_file
from vicregl_fast.augment.recipe import RECIPES
from vicregl_fast.benchmarks import parts
from vicregl_fast.benchmarks.peers.names import LOADER_PEERS, QUALITY_PEERS, add_peers
from vicregl_fast.choices import DEVICE_CHOICES, PRECISIONS
from vicregl_fast.data.config import ENGINES


def bench_parser(description: str | None) -> argparse.ArgumentParser:
    """The parser of the command line.

    Parsed options hold, as ``benchmark``, the function of ``parts`` that measures the chosen part; ``show`` has none.
    """
    parser = SentenceParser(prog="python -m vicregl_fast.bench", description=description)
    commands = parser.add_subparsers(dest="command", required=True)
    shown = commands.add_parser("show", help="print what --json files hold")
    shown.add_argument("files", type=Path, nargs="+")
    views = commands.add_parser("augment", help="cropping and distorting, in every backend")
    copies = commands.add_parser("copy", help="memory bandwidth")
    loaders = commands.add_parser("loader", help="decoding and views of every engine")
    losses = commands.add_parser("loss", help="forward and backward of the loss")
    optimizers = commands.add_parser("optimizer", help="LARS over a whole network")
    steps = commands.add_parser("step", help="training steps on drawn pictures")
    engines = commands.add_parser("engine", help="what the engine adds to a bare loop, on a tiny network")
    runs = commands.add_parser("run", help="what a run's log says of its speed")
    for command, benchmark in (
        (views, parts.augment), (copies, parts.copy), (loaders, parts.loader), (losses, parts.loss),
        (optimizers, parts.optimizer), (steps, parts.step), (engines, parts.engine), (runs, parts.run),
    ):  # fmt: skip
        command.set_defaults(benchmark=benchmark)
        command.add_argument("--device", choices=DEVICE_CHOICES, default="auto", help="(auto)")
        command.add_argument("--repeats", type=count, default=10, help="samples of each duration (10)")
        command.add_argument("--json", type=output_file, help="write the figures to this file, too")
    views.add_argument("--batch", type=count, default=64, help="images (64)")
    views.add_argument("--views", choices=RECIPES, default="two", help="views of an image (two)")
    views.add_argument("--workers", type=count, help="threads on the CPU (all available cores)")
    copies.add_argument("--mib", type=count, default=256, help="mebibytes copied at a time (256)")
    engines.add_argument("--backbone", default="test_resnet", help="a timm model (test_resnet)")
    runs.add_argument("run", type=Path, metavar="RUN", help="run folder")
    _add_quality(commands.add_parser("quality", help="accuracy against the time that training takes"))
    _add_loading(loaders)
    _add_sizes(losses, optimizers, steps)
    return parser


def _add_loading(loaders: argparse.ArgumentParser) -> None:
    loaders.add_argument("--path", type=Path, required=True, help="a .beton store or a folder of images")
    loaders.add_argument("--engines", type=comma_list(ENGINES), default=list(ENGINES), help=f"({','.join(ENGINES)})")
    loaders.add_argument("--views", choices=RECIPES, default="two", help="views of an image (two)")
    loaders.add_argument("--stage", choices=["decode", "views"], help="measure this stage only (both)")
    loaders.add_argument("--workers", type=count, help="threads or processes (one a core)")
    loaders.add_argument("--batch", type=count, default=64, help="images (64)")
    add_peers(loaders, LOADER_PEERS)


def _add_quality(quality: argparse.ArgumentParser) -> None:
    quality.set_defaults(benchmark=parts.quality)
    quality.add_argument("--config", type=Path, help="a recipe of vicregl_fast.train (its defaults)")
    quality.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="changes a setting of it")
    quality.add_argument("--epochs", type=count, help="passes over the training images (the recipe's)")
    for side, what in (("train", "learned from"), ("test", "classified")):
        quality.add_argument(f"--{side}", type=Path, required=True, help=f"class folders or a store, to be {what}")
        quality.add_argument(f"--{side}_list", type=Path, help="which files of the folder, one path a line")
    quality.add_argument("--points", type=count, default=10, help="how often each network is judged (10)")
    quality.add_argument(
        "--targets", type=percents, default=[], metavar="PERCENT,...", help="accuracies to reach (the highest all do)"
    )
    add_peers(quality, QUALITY_PEERS)
    quality.add_argument("--device", choices=DEVICE_CHOICES, default="auto", help="(auto)")
    quality.add_argument("--json", type=output_file, help="write the figures to this file, too")
    quality.add_argument("--plot", type=output_file, help="draw the curves into this PNG, too")


def percents(text: str) -> list[float]:
    """An argparse type: numbers above 0 and at most 100, with commas between."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or not all(0 < number <= 100 for number in numbers):
        raise argparse.ArgumentTypeError(f"{text} must be percentages, such as 20,30")
    return numbers


def _add_sizes(
    losses: argparse.ArgumentParser, optimizers: argparse.ArgumentParser, steps: argparse.ArgumentParser
) -> None:
    for command in (losses, steps):
        command.add_argument("--batch", type=count, default=256, help="images (256)")
        command.add_argument("--views", choices=RECIPES, default="two", help="views of an image (two)")
    for command in (losses, optimizers, steps):
        command.add_argument("--expander", type=count, default=8192, help="width of the expander (8192)")
        command.add_argument("--projector", type=count, default=512, help="width of the local projector (512)")
    for command in (optimizers, steps):
        command.add_argument("--backbone", default="resnet50", help="a timm model (resnet50)")
    steps.add_argument("--size", type=count, default=224, help="pixels of a side of the large views (224)")
    steps.add_argument(
        "--compile", nargs="?", const="also", choices=["also", "only"], help="measure compiled steps, too, or only them"
    )
    steps.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=["bf16", "fp16"], help="(bf16 fp16)")
