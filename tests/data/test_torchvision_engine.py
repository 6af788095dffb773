"""The ordinary way makes the views that the fast engines do, and a broken file or process is never waited for."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from dataprep.errors import UserError
from dataprep.sources import list_images
from tests.processes import has_ended, have_ended, processes_of, wait_until
from vicregl_fast.augment.recipe import ViewsConfig, view_recipes
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.ffcv_engine.engine import FfcvEngine
from vicregl_fast.data.image_folder import ImageFolder
from vicregl_fast.data.order import GlobalBatches
from vicregl_fast.data.stored_images import open_stored
from vicregl_fast.data.torchvision_engine.feed import TorchvisionFeed
from vicregl_fast.data.views import ViewMaker
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.plan import plan_directions

pytestmark = pytest.mark.timeout(120)
CPU = torch.device("cpu")
LEVEL = 1 / (255 * 0.225)  # one of 255, normalised


def maker(whole: bool = False, seed: int = 11) -> ViewMaker:
    recipes = view_recipes(ViewsConfig("multicrop", large_size=48, small_size=24, small_count=2))
    plan = plan_directions(LossConfig(gamma_large=6, gamma_small=2), len(recipes))
    return ViewMaker(
        recipes=recipes,
        grids=(4, 4, 2, 2),
        directions=plan.location,
        mirror_flips=True,
        seed=seed,
        device=CPU,
        centre=recipes[0] if whole else None,
    )


def feed_of(folder: Path, workers: int = 2, whole: bool = False) -> TorchvisionFeed:
    return TorchvisionFeed(ImageFolder.of(list_images(folder)), maker(whole), workers)


def test_views_are_those_of_the_fast_engine(image_folder: Path, beton: Path) -> None:
    feed = feed_of(image_folder, whole=True)
    order = [np.array([5, 0, 47, 21, 8, 13]), np.array([40, 2, 33])]
    engine = FfcvEngine(open_stored(beton), 6, 1)
    with feed.loader(order, epoch=3) as loader:
        batches = list(loader)
    assert [batch.indices.tolist() for batch in batches] == [indices.tolist() for indices in order]
    for batch in batches:
        expected = maker(whole=True).make(engine.decode(batch.indices), 3)
        assert batch.labels is not None and torch.equal(batch.labels, expected.labels)
        assert (
            batch.centre_crops is not None and (batch.centre_crops - expected.centre_crops).abs().mean() < 2.5 * LEVEL
        )
        for view, right in zip(batch.views, expected.views, strict=True):
            assert view.shape == right.shape and view.is_contiguous(memory_format=torch.channels_last)
            # Flips and boxes are the same; decoders, PIL's hue in bytes and its approximate blur differ a little.
            assert (view - right).abs().mean(dim=(1, 2, 3)).max() < 6 * LEVEL
        assert batch.matches.keys() == expected.matches.keys()
        for direction, kept in batch.matches.items():
            assert torch.equal(kept.queries, expected.matches[direction].queries)
            assert torch.equal(kept.neighbours, expected.matches[direction].neighbours)


def by_sample(feed: TorchvisionFeed, order: GlobalBatches, epoch: int) -> dict[int, list[torch.Tensor]]:
    with feed.loader(order.epoch(epoch), epoch) as loader:
        return {
            index: [view[k] for view in batch.views]
            for batch in loader
            for k, index in enumerate(batch.indices.tolist())
        }


def test_a_sample_s_views_are_its_own_in_every_epoch(image_folder: Path) -> None:
    feed = feed_of(image_folder)
    first = by_sample(feed, GlobalBatches(48, 12, seed=5), 0)
    processes = processes_of(feed.pool)
    second = by_sample(feed, GlobalBatches(48, 12, seed=5), 1)
    assert len(processes) == 2 and not any(map(has_ended, processes))
    assert processes_of(feed.pool) == processes  # the same from one epoch to the next
    again = by_sample(feed_of(image_folder, workers=1), GlobalBatches(48, 8, seed=2), 0)
    for index, views in first.items():
        assert all(torch.equal(view, other) for view, other in zip(views, again[index], strict=True))
        assert not torch.equal(views[0], second[index][0])


def test_loading_draws_nothing_from_torch_s_generator(image_folder: Path) -> None:
    """From which drop path draws: a resumed run, whose workers start anew, must find it as the first one left it."""
    before = torch.get_rng_state()
    assert len(_batches(feed_of(image_folder), GlobalBatches(48, 12, seed=0))) == 4
    assert torch.equal(torch.get_rng_state(), before)


def test_without_processes_the_views_are_the_same(image_folder: Path) -> None:
    alone, feed, order = feed_of(image_folder, workers=0), feed_of(image_folder), GlobalBatches(48, 12, seed=5)
    alone_views, views = by_sample(alone, order, 2), by_sample(feed, order, 2)
    assert alone_views.keys() == views.keys() and not processes_of(alone.pool)
    for index, right in views.items():
        assert all(torch.equal(view, other) for view, other in zip(alone_views[index], right, strict=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_does_not_decode_is_named(image_folder: Path, tmp_path: Path, workers: int) -> None:
    files = list_images(image_folder).files
    for file in files[:8]:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes((image_folder / file).read_bytes())
    (tmp_path / files[6]).write_bytes((image_folder / files[6]).read_bytes()[:900])
    feed = feed_of(tmp_path, workers)
    seen: list[ViewBatch] = []
    order = [np.array([0, 1]), np.array([2, 3]), np.array([5, 6]), np.array([4, 7])]
    with pytest.raises(UserError, match=rf"the image .*{files[6]} does not decode"), feed.loader(order, 0) as loader:
        seen.extend(loader)
    assert len(seen) == 2
    with feed.loader(order[:2], 0) as loader:  # others still can be had
        assert len(list(loader)) == 2


def test_a_dead_worker_is_an_error_that_says_where_it_was(image_folder: Path) -> None:
    feed = feed_of(image_folder, workers=1)
    order = GlobalBatches(48, 4, seed=0)
    with (
        pytest.raises(UserError, match=r"died after it had begun to read image \d+ \(/.*was killed \(SIGKILL\)"),
        feed.loader(order.epoch(0), 0) as loader,
    ):
        for _ in loader:
            (process,) = processes_of(feed.pool)
            process.kill()
    assert len(list(_batches(feed, order))) == 12


def _batches(feed: TorchvisionFeed, order: GlobalBatches) -> list[ViewBatch]:
    with feed.loader(order.epoch(0), 0) as loader:
        return list(loader)


def test_an_abandoned_loader_leaves_no_process(image_folder: Path) -> None:
    feed = feed_of(image_folder)
    order = GlobalBatches(48, 4, seed=0)
    for _ in range(2):
        with feed.loader(order.epoch(0), 0) as loader:
            batches = iter(loader)  # still held when the loader is left
            next(batches)
            processes = processes_of(feed.pool)
            assert len(processes) == 2 and not any(map(has_ended, processes))
        assert have_ended(processes) and not processes_of(feed.pool)


def test_a_loader_is_left_at_once_though_its_processes_hang(image_folder: Path) -> None:
    """As at a file server that does not answer."""
    feed = feed_of(image_folder)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt), feed.loader(GlobalBatches(48, 4, seed=0).epoch(0), 0) as loader:
        processes = processes_of(feed.pool)
        for _ in loader:
            for process in processes:
                process.suspend()
            threading.Timer(2, signal.raise_signal, [signal.SIGINT]).start()
    assert time.monotonic() - start < 20 and len(processes) == 2 and have_ended(processes)


def test_a_forgotten_feed_leaves_no_process(image_folder: Path) -> None:
    feed = feed_of(image_folder)
    _batches(feed, GlobalBatches(48, 12, seed=0))
    processes = processes_of(feed.pool)
    assert len(processes) == 2 and not any(map(has_ended, processes))
    del feed
    assert wait_until(lambda: have_ended(processes), 20)


WITHOUT_STORES = """
import sys
sys.modules["ffcv"] = sys.modules["nvidia.dali"] = None
from vicregl_fast.train import main
main()
"""


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_training_needs_neither_ffcv_nor_dali(image_folder: Path, tmp_path: Path) -> None:
    words = (
        f"--data.path {image_folder} --data.engine torchvision --data.workers 1 --run_dir {tmp_path / 'run'} "
        "--epochs 1 --batch_size 24 --views.large_size 32 --model.backbone test_resnet --model.expander 8 "
        "--model.projector 8 --loss.gamma_large 1 --optim.warmup_epochs 0"
    )
    done = subprocess.run([sys.executable, "-c", WITHOUT_STORES, *words.split()], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "metrics.jsonl").is_file()
