"""The stores of a run and what feeds it from them."""

from pathlib import Path
from typing import Literal

import torch

from dataprep.errors import UserError
from vicregl_fast.augment.backends import choose_backend
from vicregl_fast.config import DataConfig, RunConfig
from vicregl_fast.data.engine import BATCHES_HELD, Engine, Feed, SizedStore, Store, largest_batch
from vicregl_fast.data.feed import EngineFeed, decoding_threads
from vicregl_fast.data.jpegs import JpegStore
from vicregl_fast.data.leaving_out import LeavingOut
from vicregl_fast.data.memory import check_memory
from vicregl_fast.data.source import open_source
from vicregl_fast.data.torchvision_engine.feed import TorchvisionFeed
from vicregl_fast.data.torchvision_engine.folder import ImageFolder
from vicregl_fast.data.views import ViewMaker
from vicregl_fast.training.learner import Learner
from vicregl_fast.training.processes import Processes


def open_stores(data: DataConfig, cache: Path, processes: Processes) -> tuple[Store, Store | None]:
    """The training store, and the validation store if one is named; rank 0 first, since it may convert folders.

    Raises:
        UserError: what ``open_source`` raises, two stores whose classes differ, or too few images for validation.
    """
    stores = processes.first(lambda: _open_both(data, cache))
    train, val = stores or _open_both(data, cache)
    processes.wait()  # the others may take long over a cold file system, too
    if val is not None and train.labels is not None and val.labels is not None and train.classes != val.classes:
        raise UserError(
            f"{train.path} and {val.path} do not have the same classes; convert both from folders named alike"
        )
    if val is not None and len(val) < max(2, processes.world):
        raise UserError(
            f"{val.path} has too few images for validation, {len(val)}: the loss needs 2 or more, and each process one"
        )
    return train, val


def count_classes(store: Store) -> int:
    """Classes that an online classifier can learn: 0 for a store without labels."""
    if store.labels is None:
        return 0
    return len(store.classes) if store.classes is not None else int(store.labels.max()) + 1


def build_feeds(
    config: RunConfig, store: Store, val_store: Store | None, learner: Learner, processes: Processes
) -> tuple[Feed, Feed | None]:
    """Engines and view makers for the training and the validation store."""
    workers = decoding_threads(config.data.workers, processes.local_world)
    backend = choose_backend(config.views.backend, processes.device)

    def feed(of: Store, validation: bool) -> Feed:
        share = min(config.batch_size, len(of)) // processes.world
        maker = ViewMaker(
            learner.recipes,
            learner.grids,
            learner.criterion.plan.location,
            config.loss.switches().mirror_flips,
            config.seed,
            processes.device,
            backend,
            workers,
            learner.step.precision.dtype,
            whole=validation,
        )
        return open_feed(of, maker, share, workers, config.data.on_error)

    stores = [each for each in (store, val_store) if each is not None]
    buffers = processes.local_world * sum(_buffer_bytes(each, config.batch_size // processes.world) for each in stores)
    processes.first(lambda: check_memory(buffers, store.path, config.data.order == "blocks"))
    return feed(store, False), None if val_store is None else feed(val_store, True)


def _buffer_bytes(store: Store, batch_size: int) -> int:
    """Of one process, for decoded images; an ``ImageFolder`` has none, and what it takes is not known before."""
    if isinstance(store, ImageFolder):
        return 0
    assert isinstance(store, SizedStore)
    return BATCHES_HELD * largest_batch(store.heights, store.widths, batch_size)


def open_feed(
    store: Store, maker: ViewMaker, batch_size: int, workers: int, on_error: Literal["fail", "skip"] = "fail"
) -> Feed:
    """The feed of a store with the engine that reads it.

    Args:
        store: as ``open_source`` opened it.
        maker: what the views are, and where they are needed.
        batch_size: the most images of a batch.
        workers: decoding threads or processes.
        on_error: at an image that does not decode; folders know ``fail`` only.

    Raises:
        UserError: ``skip`` of a folder.
    """
    if isinstance(store, ImageFolder):
        if on_error == "skip":
            raise UserError("--data.on_error skip goes with stores: the torchvision engine stops at a broken file")
        return TorchvisionFeed(store, maker, workers)
    engine = _engine(store, maker, batch_size, workers)
    return EngineFeed(store, LeavingOut(engine) if on_error == "skip" else engine, maker)


def _engine(store: Store, maker: ViewMaker, batch_size: int, workers: int) -> Engine:
    if isinstance(store, JpegStore):
        from vicregl_fast.data.dali_engine.engine import DaliEngine  # imports DALI

        return DaliEngine(store, batch_size, workers, torch.device("cpu") if maker.backend == "numba" else maker.device)
    from vicregl_fast.data.ffcv_engine.beton import Beton  # imports ffcv, which the other engines do without
    from vicregl_fast.data.ffcv_engine.engine import FfcvEngine

    assert isinstance(store, Beton)
    return FfcvEngine(store, batch_size, workers, maker.device.type == "cuda")


def _open_both(data: DataConfig, cache: Path) -> tuple[Store, Store | None]:
    def opened(path: str, list_file: str | None) -> Store:
        return open_source(
            Path(path), cache, None if list_file is None else Path(list_file), data.engine, data.on_error
        )

    train = opened(data.path, data.list)
    return train, None if data.val_path is None else opened(data.val_path, data.val_list)
