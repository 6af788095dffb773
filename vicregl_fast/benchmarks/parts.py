"""The parts of ``bench``: each function takes parsed options and yields measurements.

Each imports what it needs when it is called, so that a missing package makes only that part unavailable.
"""

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataprep.errors import UserError
from vicregl_fast.augment.recipe import RecipeName, ViewsConfig
from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.models.config import ModelConfig

if TYPE_CHECKING:
    from vicregl_fast.benchmarks.scaling import ScalingBench
    from vicregl_fast.config import RunConfig

MOST_CPU_PROCESSES = 2
"""That ``scaling`` starts unless it is told how many: they show that it works, and more of them nothing else."""


def recorded(config: "RunConfig") -> dict[str, Any]:
    """The whole recipe, for the environment of its figures: defaults change, and a command does not name them."""
    return {"recipe": asdict(config)}


def step_environment(options: argparse.Namespace) -> dict[str, Any]:
    """What the steps train."""
    return recorded(step_recipe(options))


def train_environment(options: argparse.Namespace) -> dict[str, Any]:
    """What the loop trains."""
    return recorded(train_recipe(options))


def quality_environment(options: argparse.Namespace) -> dict[str, Any]:
    """What is trained with the first seed."""
    from vicregl_fast.config import parse_config

    return recorded(parse_config(quality_settings(options)))


GRIDS: dict[RecipeName, tuple[int, ...]] = {"two": (7, 7), "multicrop": (7, 7, 3, 3, 3, 3, 3, 3)}
"""Cells along a side of each view's map at output stride 32: 7 of a view of 224 pixels, 3 of one of 96 pixels."""


def augment(options: argparse.Namespace) -> Iterator[Measurement]:
    """Measures cropping and distorting."""
    from vicregl_fast.benchmarks.augmentation import bench_augmentation
    from vicregl_fast.data.threads import decoding_threads

    threads = decoding_threads(options.workers, sharers=1)
    return bench_augmentation(options.device, ViewsConfig(options.views), options.batch, threads, options.repeats)


def copy(options: argparse.Namespace) -> Iterator[Measurement]:
    """Measures memory bandwidth."""
    from vicregl_fast.benchmarks.copying import bench_copy

    return bench_copy(options.device, options.mib, options.repeats)


def loader(options: argparse.Namespace) -> Iterator[Measurement]:
    """Measures the engines side by side, and other libraries in the same turns."""
    from vicregl_fast.benchmarks.loaders import LoaderBench, bench_loaders
    from vicregl_fast.data.threads import decoding_threads

    bench = LoaderBench(
        options.path,
        options.engines,
        ("decode", "views") if options.stage is None else (options.stage,),
        ViewsConfig(options.views),
        GRIDS[options.views],
        decoding_threads(options.workers, sharers=1),
        options.batch,
        options.device,
        options.peers,
    )
    return bench_loaders(bench, options.repeats, options.interim)


def quality(options: argparse.Namespace) -> Iterator[Measurement]:
    """Measures time to accuracy."""
    from tempfile import TemporaryDirectory

    from vicregl_fast.benchmarks.quality.measure import bench_quality
    from vicregl_fast.benchmarks.quality.run import LabelledImages, open_run, with_seeds

    train = LabelledImages(options.train, options.train_list)
    test = LabelledImages(options.test, options.test_list)
    with TemporaryDirectory(prefix="bench-quality-") as folder:
        run = open_run(quality_settings(options), train, test, options.points, options.device, Path(folder))
        runs = with_seeds(run, options.seeds)
        yield from bench_quality(runs, options.peers, options.targets, options.plot, options.interim)


def quality_settings(options: argparse.Namespace) -> list[str]:
    """What ``bench quality`` trains, as options of training."""
    settings = [] if options.config is None else [f"--config={options.config}"]
    settings += [f"--{each}" for each in options.set]
    return settings + ([] if options.epochs is None else [f"--epochs={options.epochs}"])


def loss(options: argparse.Namespace) -> Iterator[Measurement]:
    """Measures the two criteria and location matching, each beside a direct formulation."""
    from vicregl_fast.benchmarks.losses import LossSizes, bench_loss
    from vicregl_fast.benchmarks.matching import bench_matching

    sizes = LossSizes(options.batch, GRIDS[options.views], options.expander, options.projector)
    yield from bench_loss(options.device, sizes, options.repeats)
    yield from bench_matching(options.repeats)


def features(options: argparse.Namespace) -> Iterator[Measurement]:
    """Measures the features of judgements."""
    from vicregl_fast.benchmarks.features import bench_features
    from vicregl_fast.data.threads import decoding_threads
    from vicregl_fast.evaluation.chosen_images import open_chosen
    from vicregl_fast.evaluation.classification.crop_feed import CropFeeds
    from vicregl_fast.models.config import BackboneConfig

    images = open_chosen(options.path, options.list)
    feeds = CropFeeds(options.size, options.batch, decoding_threads(options.workers, sharers=1), options.device)
    return bench_features(BackboneConfig(options.backbone), images, feeds, options.batches, options.repeats)


def linear(options: argparse.Namespace) -> Iterator[Measurement]:
    """Measures linear classification."""
    from vicregl_fast.benchmarks.linear import bench_linear
    from vicregl_fast.evaluation.chosen_images import open_chosen
    from vicregl_fast.evaluation.classification.config import LinearConfig
    from vicregl_fast.evaluation.options import from_options
    from vicregl_fast.models.config import BackboneConfig

    config = from_options(LinearConfig, options)
    if len(config.lr) < 2:
        raise UserError("give --lr several learning rates, with commas between")
    train = open_chosen(options.train, None)
    test = open_chosen(options.test, None, like=train)
    return bench_linear(BackboneConfig(options.backbone), train, test, config, options.device, options.repeats)


def optimizer(options: argparse.Namespace) -> Iterator[Measurement]:
    """Measures steps of LARS."""
    from vicregl_fast.benchmarks.optimizers import bench_optimizer

    model = ModelConfig(options.backbone, expander=options.expander, projector=options.projector)
    return bench_optimizer(options.device, model, options.repeats)


def step(options: argparse.Namespace) -> Iterator[Measurement]:
    """Measures whole training steps."""
    from vicregl_fast.benchmarks.step_variants import Compiled, all_variants, can_be_recorded, default_precisions
    from vicregl_fast.benchmarks.steps import bench_steps

    config = step_recipe(options)
    precisions = options.precisions or default_precisions(config.train.precision, options.device)
    compiled: Compiled = options.compile or ("also" if config.train.compile else None)
    variants = all_variants(precisions, compiled, can_be_recorded(config, options.device))
    return bench_steps(config, options.device, variants, options.repeats, parts=options.compile != "only")


def step_recipe(options: argparse.Namespace) -> "RunConfig":
    """What ``bench step`` measures."""
    from vicregl_fast.benchmarks.recipes import chosen_recipe

    own = {
        "batch_size": options.batch,
        "views.recipe": options.views,
        "views.large_size": options.size,
        "model.backbone": options.backbone,
        "model.expander": options.expander,
        "model.projector": options.projector,
    }
    return chosen_recipe(options, own)


def engine(options: argparse.Namespace) -> Iterator[Measurement]:
    """Measures what the training engine adds to a bare loop."""
    from vicregl_fast.benchmarks.overhead import bench_overhead

    model = ModelConfig(options.backbone, output_stride=16, expander=32, projector=16)
    return bench_overhead(options.device, model, options.repeats)


def run(options: argparse.Namespace) -> Iterator[Measurement]:
    """Reads the speed of a training run from its log."""
    from vicregl_fast.benchmarks.run_metrics import bench_run

    return bench_run(options.run)


def train(options: argparse.Namespace) -> Iterator[Measurement]:
    """Measures the training loop on a store."""
    from vicregl_fast.benchmarks.training_loop import bench_training

    config = train_recipe(options)
    return bench_training(config, options.device, options.steps, options.repeats, options.interim)


def train_recipe(options: argparse.Namespace) -> "RunConfig":
    """What ``bench train`` measures."""
    from vicregl_fast.benchmarks.recipes import chosen_recipe

    own = {"data.path": options.path, "data.workers": options.workers, "batch_size": options.batch}
    return chosen_recipe(options, own)


def projection(options: argparse.Namespace) -> Iterator[Measurement]:
    """Projects measured parts onto more GPUs."""
    from dataprep.notes import note
    from vicregl_fast.benchmarks.projection import LEFT_OUT, Cluster, Run, assumptions, project
    from vicregl_fast.benchmarks.projection_parts import read_parts
    from vicregl_fast.benchmarks.recipes import chosen_recipe
    from vicregl_fast.benchmarks.scaling_bytes import RecipeBytes

    note(f"none of these figures is measured, and left out are {LEFT_OUT}")
    config = chosen_recipe(options, {})
    sent = RecipeBytes.of(config)
    parts, cores = read_parts(options.measured, config, sent.parameters)
    cluster = Cluster(options.gpus_per_node, options.inside, options.between, options.cores_per_node or cores)
    run = Run(options.images, config.epochs, config.batch_size)
    yield from assumptions(parts, sent, cluster, run)
    for gpus in options.gpus:
        yield from project(parts, sent, cluster, run, gpus)


def projection_environment(options: argparse.Namespace) -> dict[str, Any]:
    """Where the parts were measured, and what the model leaves out."""
    from vicregl_fast.benchmarks.measurements import read_file
    from vicregl_fast.benchmarks.projection import LEFT_OUT

    return {"measured": [read_file(file)[0] for file in options.measured], "left_out": LEFT_OUT}


def scaling(options: argparse.Namespace) -> Iterator[Measurement]:
    """Measures steps of several processes."""
    from vicregl_fast.benchmarks.scaling import bench_scaling

    return bench_scaling(_scaling_bench(options))


def scaling_environment(options: argparse.Namespace) -> dict[str, Any]:
    """What the processes are, and what they train."""
    bench = _scaling_bench(options)
    return {**bench.described, **recorded(bench.config)}


def _scaling_bench(options: argparse.Namespace) -> "ScalingBench":
    import os

    import torch

    from vicregl_fast.benchmarks.recipes import chosen_recipe
    from vicregl_fast.benchmarks.scaling import ScalingBench, counts_here

    on_gpus = options.device.type == "cuda"
    here = torch.cuda.device_count() if on_gpus else min(MOST_CPU_PROCESSES, len(os.sched_getaffinity(0)))
    config = chosen_recipe(options, {"batch_size": options.batch})
    counts = options.processes or counts_here(here)
    return ScalingBench(config, options.device.type, counts, options.steps, options.repeats)
