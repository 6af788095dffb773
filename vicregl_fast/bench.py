"""Measures the parts on this machine: ``python -m vicregl_fast.bench PART``; ``--help`` lists them.

Each part imports what it needs when it is asked for, so that a missing package costs that part alone.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from dataprep.command_line import SentenceParser, comma_list
from dataprep.errors import exit_on_user_error
from vicregl_fast.benchmarks.environment import describe_environment
from vicregl_fast.benchmarks.measurements import (
    Measurement,
    format_measurements,
    read_measurements,
    write_measurements,
)
from vicregl_fast.data.engine import ENGINES
from vicregl_fast.devices import choose_device
from vicregl_fast.evaluation.report import check_output
from vicregl_fast.training.precision import choose_kernels

GRIDS = {"two": (7, 7), "multicrop": (7, 7, 3, 3, 3, 3, 3, 3)}
"""Cells along a side of the views' maps at output stride 32: 224 pixels, and for multi-crop 96 pixels besides."""


def augment(options: argparse.Namespace) -> Iterator[Measurement]:
    """Cropping and distorting."""
    from vicregl_fast.augment.recipe import ViewsConfig
    from vicregl_fast.benchmarks.augmentation import bench_augmentation
    from vicregl_fast.data.feed import decoding_threads

    threads = decoding_threads(options.workers, world=1)
    return bench_augmentation(options.device, ViewsConfig(options.views), options.batch, threads, options.repeats)


def copy(options: argparse.Namespace) -> Iterator[Measurement]:
    """Memory bandwidth."""
    from vicregl_fast.benchmarks.copying import bench_copy

    return bench_copy(options.device, options.mib, options.repeats)


def loader(options: argparse.Namespace) -> Iterator[Measurement]:
    """The engines side by side."""
    from vicregl_fast.augment.recipe import ViewsConfig
    from vicregl_fast.benchmarks.loaders import LoaderBench, bench_loaders
    from vicregl_fast.data.feed import decoding_threads

    bench = LoaderBench(
        options.path,
        options.engines,
        ("decode", "views") if options.stage is None else (options.stage,),
        ViewsConfig(options.views),
        GRIDS[options.views],
        decoding_threads(options.workers, world=1),
        options.batch,
        options.device,
    )
    return bench_loaders(bench, options.repeats)


def loss(options: argparse.Namespace) -> Iterator[Measurement]:
    """The two criteria and spatial matching, each beside its definition."""
    from vicregl_fast.benchmarks.losses import LossSizes, bench_loss
    from vicregl_fast.benchmarks.matching import bench_matching

    sizes = LossSizes(options.batch, GRIDS[options.views], options.expander, options.projector)
    yield from bench_loss(options.device, sizes, options.repeats)
    yield from bench_matching(options.repeats)


def optimizer(options: argparse.Namespace) -> Iterator[Measurement]:
    """LARS."""
    from vicregl_fast.benchmarks.optimizers import bench_optimizer
    from vicregl_fast.models.network import ModelConfig

    model = ModelConfig(options.backbone, expander=options.expander, projector=options.projector)
    return bench_optimizer(options.device, model, options.repeats)


def step(options: argparse.Namespace) -> Iterator[Measurement]:
    """Training steps."""
    from vicregl_fast.augment.recipe import ViewsConfig
    from vicregl_fast.benchmarks.steps import all_variants, bench_steps
    from vicregl_fast.models.network import ModelConfig

    model = ModelConfig(options.backbone, expander=options.expander, projector=options.projector)
    views = ViewsConfig(options.views, large_size=options.size)
    variants = all_variants(options.precisions, options.compile)
    return bench_steps(options.device, model, views, options.batch, variants, options.repeats)


def run(options: argparse.Namespace) -> Iterator[Measurement]:
    """A run that is over."""
    from vicregl_fast.benchmarks.run_metrics import bench_run

    return bench_run(options.run)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, printing each figure when it is there; the JSON file grows with them."""
    given = sys.argv[1:] if arguments is None else arguments
    with exit_on_user_error():
        options = _parser().parse_args(given)
        if options.command == "show":
            print(format_measurements([row for file in options.files for row in read_measurements(file)]))
            return
        check_output(options.json)
        options.device = choose_device(options.device)
        choose_kernels(deterministic=False)  # as training does
        measured: list[Measurement] = []
        for measurement in options.benchmark(options):
            measured.append(measurement)
            print(format_measurements([measurement]), flush=True)
            if options.json is not None:
                write_measurements(options.json, describe_environment(options.device, given), measured)


def _parser() -> argparse.ArgumentParser:
    parser = SentenceParser(prog="python -m vicregl_fast.bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    shown = commands.add_parser("show", help="print what --json files hold")
    shown.add_argument("files", type=Path, nargs="+")
    views = commands.add_parser("augment", help="cropping and distorting, in every backend")
    copies = commands.add_parser("copy", help="memory bandwidth")
    loaders = commands.add_parser("loader", help="decoding and views of every engine")
    losses = commands.add_parser("loss", help="forward and backward of the loss")
    optimizers = commands.add_parser("optimizer", help="LARS over a whole network")
    steps = commands.add_parser("step", help="training steps on drawn pictures")
    runs = commands.add_parser("run", help="what a run's log says of its speed")
    parts = (
        (views, augment), (copies, copy), (loaders, loader), (losses, loss), (optimizers, optimizer), (steps, step),
        (runs, run),
    )  # fmt: skip
    for command, benchmark in parts:
        command.set_defaults(benchmark=benchmark)
        command.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="(auto)")
        command.add_argument("--repeats", type=_count, default=10, help="samples of each duration (10)")
        command.add_argument("--json", type=Path, help="write the figures to this file, too")
    views.add_argument("--batch", type=_count, default=64, help="images (64)")
    views.add_argument("--views", choices=list(GRIDS), default="two", help="views of an image (two)")
    views.add_argument("--workers", type=_count, help="threads on the CPU (all available cores)")
    copies.add_argument("--mib", type=_count, default=256, help="bytes copied at a time (256 MiB)")
    runs.add_argument("run", type=Path, metavar="RUN", help="run folder")
    _add_loading(loaders)
    _add_sizes(losses, optimizers, steps)
    return parser


def _add_loading(loaders: argparse.ArgumentParser) -> None:
    loaders.add_argument("--path", type=Path, required=True, help="a .beton store or a folder of images")
    loaders.add_argument("--engines", type=comma_list(ENGINES), default=list(ENGINES), help=f"({','.join(ENGINES)})")
    loaders.add_argument("--views", choices=list(GRIDS), default="two", help="views of an image (two)")
    loaders.add_argument("--stage", choices=["decode", "views"], help="one of them only")
    loaders.add_argument("--workers", type=_count, help="threads or processes (one a core)")
    loaders.add_argument("--batch", type=_count, default=64, help="images (64)")


def _add_sizes(
    losses: argparse.ArgumentParser, optimizers: argparse.ArgumentParser, steps: argparse.ArgumentParser
) -> None:
    for command in (losses, steps):
        command.add_argument("--batch", type=_count, default=256, help="images (256)")
        command.add_argument("--views", choices=list(GRIDS), default="two", help="views of an image (two)")
    for command in (losses, optimizers, steps):
        command.add_argument("--expander", type=_count, default=8192, help="width of the expander (8192)")
        command.add_argument("--projector", type=_count, default=512, help="width of the local projector (512)")
    for command in (optimizers, steps):
        command.add_argument("--backbone", default="resnet50", help="a timm model (resnet50)")
    steps.add_argument("--size", type=_count, default=224, help="pixels of a side of the large views (224)")
    steps.add_argument(
        "--compile", nargs="?", const="also", choices=["also", "only"], help="through torch.compile, too, or only so"
    )
    steps.add_argument(
        "--precisions", nargs="+", choices=["fp32", "bf16", "fp16"], default=["bf16", "fp16"], help="(bf16 fp16)"
    )


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is too few; give at least 1")
    return value


if __name__ == "__main__":
    main()
