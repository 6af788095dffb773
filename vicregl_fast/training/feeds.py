"""Opens the stores of a run, and builds the feeds that make its view batches."""

from pathlib import Path

from dataprep.errors import UserError
from vicregl_fast.augment.backends import choose_backend
from vicregl_fast.config import RunConfig
from vicregl_fast.data.config import DataConfig
from vicregl_fast.data.engine import BATCHES_HELD, Feed
from vicregl_fast.data.engine_table import FeedOptions, OpenedStore, open_feed, open_store
from vicregl_fast.data.memory import check_memory
from vicregl_fast.data.source import Source
from vicregl_fast.data.store import SizedStore, Store, check_same_classes, largest_batch
from vicregl_fast.data.threads import decoding_threads
from vicregl_fast.data.views import ViewMaker
from vicregl_fast.training.learner import Learner
from vicregl_fast.training.processes import Processes


def open_stores(data: DataConfig, cache: Path, processes: Processes) -> tuple[OpenedStore, OpenedStore | None]:
    """Opens the training store, and the validation store if one is named.

    Rank 0 opens them before the other processes do, since opening a folder may convert it to a store first.

    Args:
        data: where the images are.
        cache: folder for stores converted from folders.
        processes: the processes of the run.

    Raises:
        UserError: ``open_store`` raises it, the two stores have different classes, or there are too few images for
            validation.
    """
    stores = processes.first(lambda: _open_both(data, cache))
    train, val = stores or _open_both(data, cache)
    processes.wait()  # reading a store for the first time may take the others long, too
    if val is not None:
        _check_validation(train.store, val.store, processes.world)
    return train, val


def count_classes(store: Store) -> int:
    """Number of classes for the online classifier; 0 for a store without labels."""
    if store.labels is None:
        return 0
    return len(store.classes) if store.classes is not None else int(store.labels.max()) + 1


def build_feeds(
    config: RunConfig, train: OpenedStore, val: OpenedStore | None, learner: Learner, processes: Processes
) -> tuple[Feed, Feed | None]:
    """Builds the training feed, and the validation feed (None if there is no validation store).

    Raises:
        UserError: decoded batches do not fit into memory, or the backend or the engine cannot do what is asked.
    """
    workers = decoding_threads(config.data.workers, processes.local_world)
    backend = choose_backend(config.views.backend, processes.device)

    def feed(of: OpenedStore, validation: bool) -> Feed:
        maker = ViewMaker(
            recipes=learner.recipes,
            grids=learner.grids,
            directions=learner.criterion.plan.location,
            mirror_flips=config.loss.switches().mirror_flips,
            seed=config.seed,
            device=processes.device,
            backend=backend,
            threads=max(1, workers),
            dtype=learner.step.precision.dtype,
            with_centre_crops=validation,
        )
        share = min(config.batch_size, len(of.store)) // processes.world
        return open_feed(of, maker, FeedOptions(share, workers, config.data.on_error))

    opened = [each.store for each in (train, val) if each is not None]
    buffers = processes.local_world * sum(_buffer_bytes(each, config.batch_size // processes.world) for each in opened)
    processes.first(lambda: check_memory(buffers, train.store.path, config.data.order == "blocks"))
    return feed(train, False), None if val is None else feed(val, True)


def _buffer_bytes(store: Store, batch_size: int) -> int:
    """Bytes that one process holds for decoded images of this store.

    It is 0 for a folder of images: the torchvision engine holds no such buffers, and the sizes are not known.
    """
    if not isinstance(store, SizedStore):
        return 0
    return BATCHES_HELD * largest_batch(store.heights, store.widths, batch_size)


def _check_validation(train: Store, val: Store, world: int) -> None:
    if train.labels is not None and val.labels is not None:
        check_same_classes(train, val)
    if len(val) < max(2, world):
        raise UserError(
            f"{val.path} has too few images for validation, {len(val)}: the loss needs 2 or more, and each process one"
        )


def _open_both(data: DataConfig, cache: Path) -> tuple[OpenedStore, OpenedStore | None]:
    def opened(path: str, list_file: str | None) -> OpenedStore:
        source = Source(Path(path), cache, None if list_file is None else Path(list_file), data.on_error)
        return open_store(source, data.engine)

    train = opened(data.path, data.list)
    return train, None if data.val_path is None else opened(data.val_path, data.val_list)
