"""Opens the stores of a run, and builds the feeds that make its view batches."""

from dataclasses import replace
from pathlib import Path

import torch

from dataprep.errors import UserError
from dataprep.labels import AUTO
from dataprep.notes import note
from dataprep.value_range import parse_range
from vicregl_fast.augment.backends import choose_backend
from vicregl_fast.augment.recipe import Backend
from vicregl_fast.config import RunConfig
from vicregl_fast.data.config import DataConfig, EngineChoice
from vicregl_fast.data.engine import BATCHES_HELD, Feed
from vicregl_fast.data.engine_table import FeedOptions, OpenedStore, open_feed, open_store
from vicregl_fast.data.memory import check_memory
from vicregl_fast.data.shared_range import note_other_ranges
from vicregl_fast.data.source import Source, is_store
from vicregl_fast.data.store import SizedStore, Store, check_same_classes, largest_batch
from vicregl_fast.data.threads import decoding_threads
from vicregl_fast.data.views import ViewMaker
from vicregl_fast.training.learner import Learner
from vicregl_fast.training.processes import Processes

Sources = tuple[Source, Source | None]
"""Where the images for training are, and those for validation if they are named."""


def open_stores(data: DataConfig, found: Sources, processes: Processes) -> tuple[OpenedStore, OpenedStore | None]:
    """Opens the training store, and the validation store if one is named.

    Rank 0 opens them before the other processes do, since opening a folder may convert it to a store first.

    Args:
        data: where the images are.
        found: what ``sources`` made of it; rank 0 lists no folder twice.
        processes: the processes of the run.

    Raises:
        UserError: ``open_store`` raises it, the two stores have different classes, or there are too few images for
            validation.
    """
    stores = processes.first(lambda: _open_both(found, data.engine))
    places = processes.gather([each.store.path for each in stores or () if each is not None])[0]
    cache = found[0].cache
    train, val = processes.agree(lambda: stores or _open_both(sources(_at(data, *places), cache), data.engine))
    check_validation(train, val, processes.world)
    if val is not None:
        note_other_ranges(train.store, val.store)
    return train, val


def sources(data: DataConfig, cache: Path) -> Sources:
    """The images that a run names; nothing is read yet. Stores that are converted from folders go to ``cache``.

    Raises:
        UserError: a list is given for a store, or one for validation without images, or a range for stores alone.
    """
    if data.val_list is not None and data.val_path is None:
        raise UserError("data.val_list goes with data.val_path, which is not set: give both, or leave the list out")

    taken = parse_range(data.range)
    of_folders = [path for path in (data.path, data.val_path) if path is not None and not is_store(Path(path))]

    def source(path: str, list_file: str | None, labels: str) -> Source:
        own = taken if path in of_folders or not of_folders else None  # else it is the other's, which is a folder
        return Source(Path(path), cache, None if list_file is None else Path(list_file), labels, data.on_error, own)

    train = source(data.path, data.list, data.labels)
    return train, None if data.val_path is None else source(data.val_path, data.val_list, data.val_labels)


def check_validation(train: OpenedStore, val: OpenedStore | None, world: int) -> None:
    """Checks the images for validation, if there are any.

    Raises:
        UserError: they have other classes than those for training, or are too few for ``world`` processes.
    """
    if val is None:
        return
    if train.store.labels is not None and val.store.labels is not None:
        check_same_classes(train.store, val.store)
    elif train.store.labels is not None:
        note(f"{val.store.path} has no labels: validation gives the loss, and no accuracy", once=True)
    if len(val.store) < max(2, world):
        raise UserError(
            f"{val.store.path} has too few images for validation, {len(val.store)}: the loss needs 2 or more, and each "
            "process one"
        )


def check_buffers(config: RunConfig, train: OpenedStore, val: OpenedStore | None, processes: Processes) -> None:
    """Checks that the decoded batches of both stores fit into memory.

    Raises:
        UserError: they do not.
    """
    share, backend = config.batch_size // processes.world, choose_backend(config.views.backend, processes.device)
    opened = [each for each in (train, val) if each is not None]
    buffers = sum(_host_bytes(each, share, processes.device, backend) for each in opened)
    check_memory(processes.local_world * buffers, train.store.path, config.data.order == "blocks")


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
        UserError: the backend or the engine cannot do what is asked.
    """
    workers = decoding_threads(config.data.workers, processes.core_sharers)
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
            centre=learner.recipes[0] if validation else None,
        )
        share = min(config.batch_size, len(of.store)) // processes.world
        return open_feed(of, maker, FeedOptions(share, workers, config.data.on_error))

    return feed(train, False), None if val is None else feed(val, True)


def _host_bytes(opened: OpenedStore, batch_size: int, device: torch.device, backend: Backend) -> int:
    """Bytes of the machine's memory, not the GPU's, that one process holds for decoded images of this store."""
    decoded = _buffer_bytes(opened.store, batch_size)
    if device.type == "cpu" or decoded == 0:
        return decoded
    if opened.engine == "dali":
        return decoded if backend == "numba" else 0  # else the GPU decodes, and holds what it has decoded
    buffer = decoded // BATCHES_HELD
    return BATCHES_HELD * 2 ** (buffer - 1).bit_length()  # torch page-locks memory in powers of two


def _buffer_bytes(store: Store, batch_size: int) -> int:
    """Bytes that one process holds for decoded images of this store.

    It is 0 for a folder of images: the torchvision engine holds no such buffers, and the sizes are not known.
    """
    if not isinstance(store, SizedStore):
        return 0
    return BATCHES_HELD * largest_batch(store.heights, store.widths, batch_size)


def _open_both(found: Sources, engine: EngineChoice) -> tuple[OpenedStore, OpenedStore | None]:
    train, val = found
    opened = open_store(train, engine)
    return opened, None if val is None else open_store(val, engine, opened.store)


def _at(data: DataConfig, train: Path, val: Path | None = None) -> DataConfig:
    """The same images where rank 0 opened them, so that no other process lists or converts a folder again."""
    if train != Path(data.path):
        data = replace(data, path=str(train), list=None, labels=AUTO, range=AUTO)
    if val is not None and data.val_path is not None and val != Path(data.val_path):
        data = replace(data, val_path=str(val), val_list=None, val_labels=AUTO, range=AUTO)
    return data
