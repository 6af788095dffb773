"""Measures the training loop itself on a store, beside the same loop without loading and with an ordinary loader."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, count, islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch

from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.benchmarks.feeds_in_turns import FeedsInTurns, Turn
from vicregl_fast.benchmarks.loader_sources import open_files
from vicregl_fast.benchmarks.measurements import Interim, Measurement, nothing_interim
from vicregl_fast.benchmarks.memory import PeakMemory
from vicregl_fast.benchmarks.processor_time import processor_seconds
from vicregl_fast.benchmarks.repeated_batch import RepeatedBatchFeed
from vicregl_fast.config import RunConfig
from vicregl_fast.data.engine import Feed
from vicregl_fast.data.engine_table import OpenedStore, open_store
from vicregl_fast.data.store import Store
from vicregl_fast.data.threads import decoding_threads
from vicregl_fast.data.torchvision_engine.feed import TorchvisionFeed
from vicregl_fast.data.worker_pool import AHEAD
from vicregl_fast.runs.folder import RunFolder
from vicregl_fast.training.feeds import build_feeds, sources
from vicregl_fast.training.processes import Processes
from vicregl_fast.training.trainer import Trainer

MARGIN = 4
"""Steps at each end of a turn that are not timed, at least: one more than a loader keeps ready and is about to."""


def bench_training(
    config: RunConfig, device: torch.device, steps: int, repeats: int, interim: Interim = nothing_interim
) -> Iterator[Measurement]:
    """Measures images/s of ``Trainer`` with three feeds in turns: one network, one loop, the same images.

    - ``train.images_per_second``: the store, by its engine;
    - ``train.synthetic_images_per_second``: one batch of it, given again and again, so that nothing is loaded;
    - ``train.torchvision_images_per_second``: the original files by the torchvision engine. It is left out where they
      are gone.

    ``train.loader_cpu_ms_per_image`` is the processors' time for which a feed works for an image, measured after the
    run while nothing else works. ``train.loader_cpu_share`` is what loading takes of the cores during the run: that
    time of its images over wall-clock time and cores.

    The run lies in a temporary folder, has no validation, and saves its checkpoint after the last turn. It is one long
    epoch, so that none ends while steps are timed, and the timed steps of every turn have equally many logged ones.
    Peak memory is that of the whole run, the feeds being open side by side.

    Args:
        config: the recipe, with the images in ``data``.
        device: where the network is trained.
        steps: steps that are timed in each turn; they are rounded up to a multiple of the workers that load.
        repeats: how many turns are timed.
        interim: is given the rates of the turns so far after each.

    Raises:
        UserError: ``Trainer`` raises it, or the run was stopped.
    """
    with TemporaryDirectory(prefix="bench-train-") as folder:
        workers = decoding_threads(config.data.workers, sharers=1)
        config, steps = _measured(config, Path(folder) / "run", steps, workers)
        with RunFolder(Path(config.run_dir)).held(), PeakMemory(device) as peaks:
            images = steps * config.batch_size
            turns, alone = _turns_of_a_run(
                config, device, steps, repeats, workers, lambda so_far: interim(list(_rates(so_far, images)))
            )
    yield from _rates(turns, images)
    yield from _loading(turns, alone, images)
    yield from peaks.rows("train.all_feeds")


def _measured(config: RunConfig, folder: Path, steps: int, workers: int) -> tuple[RunConfig, int]:
    """The recipe without what would interrupt a turn, and the steps of whole rounds of worker processes.

    Worker processes work side by side, so that their batches come as many at once as there are of them. A row is logged
    about as often as the recipe says, and equally often in every turn.
    """
    steps = -(-steps // max(1, workers)) * max(1, workers)
    wanted = config.train.log_every
    divisors = [every for every in range(1, steps + 1) if steps % every == 0]
    log_every = min(divisors, key=lambda every: max(every / wanted, wanted / every))
    train = replace(config.train, log_every=log_every, checkpoint_every=1 << 30, trackers="none", profile=0)
    data = replace(config.data, val_path=None, val_list=None)
    return replace(config, run_dir=str(folder), train=train, data=data), steps


def _turns_of_a_run(
    config: RunConfig,
    device: torch.device,
    steps: int,
    repeats: int,
    workers: int,
    after_turn: Callable[[Mapping[str, Sequence[Turn]]], None],
) -> tuple[Mapping[str, Sequence[Turn]], Mapping[str, Sequence[float]]]:
    """Trains; returns what the turns of each feed took, and the processors' seconds for an image of it alone."""
    trainer = Trainer(config, Processes(0, 1, device))
    # torchvision's worker processes are forked in the first turn, which is safe only while no threads decode yet.
    feeds: dict[str, Feed] = {}
    if (ordinary := _ordinary_feed(config, trainer)) is not None:
        feeds["torchvision"] = ordinary
    feeds["synthetic"] = RepeatedBatchFeed(trainer.feed, next(trainer.order.epoch(0)))
    feeds["real"] = trainer.feed
    margins = {name: _margin(feed, workers) for name, feed in feeds.items()}
    indices = chain.from_iterable(trainer.order.epoch(epoch) for epoch in count())
    batches = list(islice(indices, 2 * max(margins.values()) + steps))
    in_turns = FeedsInTurns(feeds, margins, batches, repeats, device, after_turn)
    trainer.feed, trainer.total_steps, trainer.goes_on_later = in_turns, in_turns.steps, False
    trainer.order = replace(trainer.order, samples=in_turns.steps * config.batch_size)
    if trainer.run() != 0:
        raise UserError("the run was stopped before all turns were measured")
    loading = {name: feed for name, feed in feeds.items() if name != "synthetic"}
    return in_turns.turns, {
        name: [_processor_seconds(feed, batches[:steps]) for _ in range(repeats)] for name, feed in loading.items()
    }


def _processor_seconds(feed: Feed, batches: Sequence[np.ndarray]) -> float:
    """Seconds of all processors for which a feed works for an image."""
    start = processor_seconds()
    with feed.loader(batches, epoch=0) as loader:
        images = sum(len(batch.indices) for batch in loader)
        return (processor_seconds() - start) / images  # while its processes, if it has some, still run


def _margin(feed: Feed, workers: int) -> int:
    """At least as many batches as a feed prepares ahead."""
    processes = workers if isinstance(feed, TorchvisionFeed) else 0
    return max(MARGIN, AHEAD * processes + MARGIN - 1)


def _ordinary_feed(config: RunConfig, trainer: Trainer) -> Feed | None:
    """The original image files by the torchvision engine; None, with a note, where they are gone."""
    try:
        plain = replace(config, data=replace(config.data, on_error="fail"))
        files = OpenedStore("torchvision", _files_of(plain, trainer))
        return build_feeds(plain, files, None, trainer.learner, trainer.processes)[0]
    except UserError as error:
        note(f"torchvision is left out: {error}")
        return None


def _files_of(config: RunConfig, trainer: Trainer) -> Store:
    """The files that the run's images were made from: those of its own list, with its labels and range of values.

    Raises:
        UserError: they are gone, or are not as many as the run's images.
    """
    source, _ = sources(config.data, trainer.folder.stores)
    if not source.is_folder:
        return open_files(source.path)
    files = open_store(source, "torchvision").store
    if len(files) != len(trainer.feed.store):
        raise UserError(f"{source.path} has {len(files)} images, and the run {len(trainer.feed.store)} of them")
    return files


def _rates(turns: Mapping[str, Sequence[Turn]], images: int) -> Iterator[Measurement]:
    seconds = {name: [turn.seconds for turn in of_feed] for name, of_feed in turns.items()}
    for name, prefix in (("real", ""), ("synthetic", "synthetic_"), ("torchvision", "torchvision_")):
        if name in seconds:
            yield Measurement.rate(f"train.{prefix}images_per_second", images, seconds[name], "images/s")
    for other in seconds:
        if other != "real":
            yield Measurement.speedup(f"train.real_over_{other}", seconds["real"], seconds[other])


def _loading(
    turns: Mapping[str, Sequence[Turn]], alone: Mapping[str, Sequence[float]], images: int
) -> Iterator[Measurement]:
    """What loading takes of the cores, and how long the step waited for it."""
    cores = len(os.sched_getaffinity(0))
    for name, prefix in (("real", ""), ("torchvision", "torchvision_")):
        if name not in turns:
            continue
        shares = [median(alone[name]) * images / (turn.seconds * cores) for turn in turns[name]]
        yield Measurement.of(f"train.{prefix}loader_cpu_share", shares, "x")
        yield Measurement.of(f"train.{prefix}loader_cpu_ms_per_image", [1e3 * each for each in alone[name]], "ms")
        waits = [turn.waited / turn.seconds for turn in turns[name]]
        yield Measurement.of(f"train.{prefix}data_wait_share", waits, "x")
