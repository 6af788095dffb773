"""The command line of ``bench``: its parts, and the options of each."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dataprep.command_line import SentenceParser, comma_list, count, output_file
from vicregl_fast.augment.recipe import RECIPES
from vicregl_fast.benchmarks import parts
from vicregl_fast.benchmarks.peers.names import LOADER_PEERS, QUALITY_PEERS, add_peers
from vicregl_fast.choices import DEVICE_CHOICES, PRECISIONS
from vicregl_fast.data.config import ENGINES
from vicregl_fast.evaluation.classification.config import LinearConfig
from vicregl_fast.evaluation.options import add_options

CALLS, TURN = "3 calls", "the first turn"
"""What is not measured: of a part whose figures are taken one after the other, and of one that takes them in turns."""

ONE = "one call"
ROW = (
    "one call; of whole steps, of augmentation, of the loss, of copies and of the optimiser, on a GPU the mean of 3 "
    "calls in a row, by events, after one more"
)
"""What a duration is of."""


def bench_parser(description: str | None) -> argparse.ArgumentParser:
    """The parser of the command line.

    Parsed options hold, as ``benchmark``, the function of ``parts`` that measures the chosen part; as ``warm_up`` what
    it does before and does not measure, and as ``timed`` what a duration is of; as ``environment`` None or a function
    of the options that adds to what is written of the machine; and as ``peak_of_whole`` whether the peak memory of the
    whole part is measured, because it measures none. ``show`` and ``report`` have no ``benchmark``.
    """
    parser = SentenceParser(prog="python -m vicregl_fast.bench", description=description)
    # Of the parts that do not say otherwise.
    parser.set_defaults(warm_up="nothing", timed=ONE, environment=None, peak_of_whole=False)
    commands = parser.add_subparsers(dest="command", required=True)
    shown = commands.add_parser("show", help="print what --json files hold")
    shown.add_argument("files", type=Path, nargs="+")
    shown.add_argument("--only", default="", metavar="START", help="rows whose names begin so (all)")
    reports = commands.add_parser("report", help="a page of tables and pictures of what --json files hold")
    reports.add_argument("folder", type=Path, metavar="FOLDER", help="has the --json files")
    written = reports.add_mutually_exclusive_group()
    written.add_argument("--out", type=Path, help="folder for report.md and its pictures (FOLDER)")
    written.add_argument("--fill", type=Path, metavar="PAGE", help="instead, fill the marked tables of a Markdown page")
    views = commands.add_parser("augment", help="cropping and distorting, in every backend")
    copies = commands.add_parser("copy", help="memory bandwidth")
    loaders = commands.add_parser("loader", help="decoding and views of every engine")
    losses = commands.add_parser("loss", help="forward and backward of the loss")
    optimizers = commands.add_parser("optimizer", help="LARS over a whole network")
    steps = commands.add_parser("step", help="training steps on drawn pictures")
    engines = commands.add_parser("engine", help="what the engine adds to a bare loop, on a tiny network")
    features = commands.add_parser("features", help="features of images as judgements compute them")
    linear = commands.add_parser("linear", help="linear classification with several learning rates beside one")
    runs = commands.add_parser("run", help="what a run's log says of its speed")
    for command, benchmark, warm_up in (
        (views, parts.augment, TURN), (copies, parts.copy, CALLS), (loaders, parts.loader, TURN),
        (losses, parts.loss, TURN), (optimizers, parts.optimizer, CALLS), (engines, parts.engine, TURN),
        (steps, parts.step, f"{CALLS}; beside the supervised step {TURN}"), (features, parts.features, TURN),
        (linear, parts.linear, TURN),
    ):  # fmt: skip
        _add_measuring(command, benchmark, warm_up)
    _add_measuring(runs, parts.run, "nothing", repeats=None)
    for command in (optimizers, steps, views, losses, copies):
        command.set_defaults(timed=ROW)
    steps.set_defaults(environment=parts.step_environment)
    for command in (views, loaders, optimizers, engines, features, linear):
        command.set_defaults(peak_of_whole=True)
    views.add_argument("--batch", "--batch_size", type=count, default=64, help="images (64)")
    views.add_argument("--views", choices=RECIPES, default="two", help="views of an image (two)")
    views.add_argument("--workers", type=count, help="threads on the CPU (all available cores)")
    copies.add_argument("--mib", type=count, default=256, help="mebibytes copied at a time (256)")
    engines.add_argument("--backbone", default="test_resnet", help="a timm model (test_resnet)")
    runs.add_argument("run", type=Path, metavar="RUN", help="run folder")
    _add_quality(commands.add_parser("quality", help="accuracy against the time that training takes"))
    _add_loading(loaders)
    _add_features(features)
    _add_linear(linear)
    _add_sizes(losses, optimizers, steps)
    _add_training(commands)
    _add_projection(commands)
    return parser


def _add_measuring(
    command: argparse.ArgumentParser,
    benchmark: Callable[[argparse.Namespace], object],
    warm_up: str,
    repeats: int | None = 10,
) -> None:
    """What every part has that measures.

    Args:
        command: its parser.
        benchmark: measures.
        warm_up: what is done before and not measured.
        repeats: how many samples each duration has by default; None where that is no question.
    """
    command.set_defaults(benchmark=benchmark, warm_up=warm_up)
    command.add_argument("--device", choices=DEVICE_CHOICES, default="auto", help="(auto)")
    if repeats is not None:
        command.add_argument("--repeats", type=count, default=repeats, help=f"samples of each duration ({repeats})")
    _add_json(command)


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", type=output_file, help="write the figures to this file, too")


def _add_loading(loaders: argparse.ArgumentParser) -> None:
    loaders.add_argument("--path", type=Path, required=True, help="a .beton store or a folder of images")
    loaders.add_argument("--engines", type=comma_list(ENGINES), default=list(ENGINES), help=f"({','.join(ENGINES)})")
    loaders.add_argument("--views", choices=RECIPES, default="two", help="views of an image (two)")
    loaders.add_argument("--stage", choices=["decode", "views"], help="measure this stage only (both)")
    loaders.add_argument("--workers", type=count, help="threads or processes (one a core)")
    loaders.add_argument("--batch", "--batch_size", type=count, default=64, help="images (64)")
    add_peers(loaders, LOADER_PEERS)


def _add_features(features: argparse.ArgumentParser) -> None:
    features.add_argument("--path", type=Path, required=True, help="a store or a folder of images")
    features.add_argument("--list", type=Path, help="which of them, one a line")
    features.add_argument("--backbone", default="resnet50", help="a timm model (resnet50)")
    features.add_argument("--size", type=count, default=224, help="pixels of a side of the crops (224)")
    features.add_argument("--batch", "--batch_size", type=count, default=64, help="images (64)")
    features.add_argument("--batches", type=count, default=8, help="batches of each duration, at most (8)")
    features.add_argument("--workers", type=count, help="threads or processes that decode (one a core)")


def _add_linear(linear: argparse.ArgumentParser) -> None:
    linear.add_argument("--train", type=Path, required=True, help="a store or class folders to learn from")
    linear.add_argument("--test", type=Path, required=True, help="a store or class folders to be classified")
    linear.add_argument("--backbone", default="resnet50", help="a timm model (resnet50)")
    add_options(linear, LinearConfig)


def _add_quality(quality: argparse.ArgumentParser) -> None:
    _add_measuring(quality, parts.quality, "none: training counts from its first step", repeats=None)
    quality.set_defaults(timed="training, without judging", environment=parts.quality_environment)
    quality.add_argument("--config", type=Path, help="a recipe of vicregl_fast.train (its defaults)")
    quality.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="changes a setting of it")
    quality.add_argument("--epochs", type=count, help="passes over the training images (the recipe's)")
    for side, what in (("train", "learned from"), ("test", "classified")):
        quality.add_argument(f"--{side}", type=Path, required=True, help=f"class folders or a store, to be {what}")
        quality.add_argument(f"--{side}_list", type=Path, help="which images of the folder, one a line")
    quality.add_argument("--seeds", type=count, default=1, help="seeds to train with, from the recipe's on (1)")
    quality.add_argument("--points", type=count, default=10, help="how often each network is judged (10)")
    quality.add_argument(
        "--targets", type=percents, default=[], metavar="PERCENT,...", help="accuracies to reach (the highest all do)"
    )
    add_peers(quality, QUALITY_PEERS)
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
    losses.add_argument("--batch", "--batch_size", type=count, default=256, help="images (256)")
    losses.add_argument("--views", choices=RECIPES, default="two", help="views of an image (two)")
    for command in (losses, optimizers):
        command.add_argument("--expander", type=count, default=8192, help="width of the expander (8192)")
        command.add_argument("--projector", type=count, default=512, help="width of the local projector (512)")
    optimizers.add_argument("--backbone", default="resnet50", help="a timm model (resnet50)")
    _add_recipe(steps)
    _add_batch(steps)
    steps.add_argument("--views", choices=RECIPES, help="views of an image (the recipe's)")
    steps.add_argument("--size", type=count, help="pixels of a side of the large views (the recipe's)")
    steps.add_argument("--backbone", help="a timm model (the recipe's)")
    steps.add_argument("--expander", type=count, help="width of the expander (the recipe's)")
    steps.add_argument("--projector", type=count, help="width of the local projector (the recipe's)")
    steps.add_argument(
        "--compile",
        nargs="?",
        const="also",
        choices=["also", "only"],
        help="measure compiled steps, too, or only their rates",
    )
    steps.add_argument(
        "--precisions",
        nargs="+",
        choices=PRECISIONS,
        help="(the one that training takes; where that is bf16 on a GPU, fp16, too)",
    )


def _add_batch(command: argparse.ArgumentParser) -> None:
    """A recipe's own batch is that of all processes together, and seldom fits one device."""
    words = ("--batch", "--batch_size")
    command.add_argument(*words, type=count, default=256, help="images of one process, whatever the recipe (256)")


def _add_recipe(command: argparse.ArgumentParser) -> None:
    """``--config``, and what stands behind ``--``: which recipe is measured."""
    command.add_argument("--config", type=Path, help="a recipe, as training takes it (else training's defaults)")
    command.add_argument("training", nargs="*", metavar="-- OPTION", help="options of training, such as --seed 1")


def _add_training(commands: Any) -> None:
    """The parts that take whole training runs apart; ``commands`` is what ``add_subparsers`` returned."""
    loops = commands.add_parser("train", help="the training loop on a store, without loading, and with torchvision")
    _add_measuring(
        loops, parts.train, f"{TURN}; of the others at each end as many steps as are prepared ahead", repeats=5
    )
    _add_recipe(loops)
    _add_batch(loops)
    timed = "--steps steps of the training loop in a row"
    loops.set_defaults(timed=timed, environment=parts.train_environment)
    loops.add_argument("--path", type=Path, required=True, help="a store or a folder of images")
    loops.add_argument("--steps", type=count, default=30, help="steps timed in each turn (30)")
    loops.add_argument("--workers", type=count, help="threads or processes that load (one a core)")
    scalings = commands.add_parser("scaling", help="training steps of 1, 2, 4 and more processes of this machine")
    _add_measuring(scalings, parts.scaling, "steps until one has finite gradients, and 3 more", repeats=5)
    timed = "--steps steps in a row, on a GPU after one more and by events in its stream"
    scalings.set_defaults(timed=timed, environment=parts.scaling_environment)
    _add_recipe(scalings)
    _add_batch(scalings)
    scalings.add_argument("--processes", type=count, nargs="+", help="how many (1 2 4 ... of GPUs; on a CPU 1 2)")
    scalings.add_argument("--steps", type=count, default=5, help="steps in a row for each duration (5)")


def _add_projection(commands: Any) -> None:
    projections = commands.add_parser("projection", help="a model of training on more GPUs, from measured parts")
    projections.set_defaults(benchmark=parts.projection, device="cpu", warm_up="nothing is measured here")
    projections.set_defaults(environment=parts.projection_environment)
    _add_json(projections)
    projections.add_argument(
        "--measured", type=Path, nargs="+", required=True, help="--json files of bench step and, if there is one, train"
    )
    _add_recipe(projections)
    projections.add_argument("--gpus", type=count, nargs="+", default=[8, 16, 32], help="how many (8 16 32)")
    projections.add_argument("--images", type=count, default=1281167, help="in an epoch (1281167: ImageNet-1k)")
    projections.add_argument("--gpus_per_node", type=count, default=8, help="of one machine (8)")
    projections.add_argument(
        "--cores_per_node", type=count, help="of one machine, for loading (as many as where bench train was measured)"
    )
    projections.add_argument(
        "--inside", type=float, default=300.0, help="GB/s of a GPU inside a machine (300: NVLink 3)"
    )
    projections.add_argument(
        "--between", type=float, default=25.0, help="GB/s of a GPU to another machine (25: InfiniBand HDR, one a GPU)"
    )
