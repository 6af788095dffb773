"""What is refused before a folder of images is converted and a network built, since these may take hours."""

from typing import NamedTuple

from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.augment.backends import choose_backend
from vicregl_fast.config import RunConfig
from vicregl_fast.data.engine_table import OpenedStore, is_converted, look_at
from vicregl_fast.data.fingerprint import store_fingerprint
from vicregl_fast.data.order import GlobalBatches
from vicregl_fast.models.backbone import check_backbone
from vicregl_fast.runs.folder import RunFolder, differences
from vicregl_fast.runs.images import LearnedImages, other_images
from vicregl_fast.training.feeds import Sources, check_buffers, check_validation, count_classes
from vicregl_fast.training.passes import chunks_of
from vicregl_fast.training.processes import Processes
from vicregl_fast.training.trackers import check_trackers
from vicregl_fast.weights.loading import check_start

MAY_DIFFER = {"data.path", "data.list", "data.val_list", "data.workers"}
"""The settings in which the processes of a run may differ: on each machine its own copy of the images."""


def check_settings(config: RunConfig, processes: Processes) -> None:
    """Checks what needs no images: CUDA graphs, backbone, backend, trackers, and how the processes share a batch.

    Raises:
        UserError: one of these is impossible, or the processes were started with different options.
    """
    first = processes.gather(config)[0]
    own_copy = {"data.val_path"} if first.data.val_path and config.data.val_path else set()
    if changed := differences(first, config, but=MAY_DIFFER | own_copy):
        said = "; ".join(f"{key} is {theirs} there and {own} here" for key, theirs, own in changed)
        raise UserError(
            f"process {processes.rank} has other options than process 0, with which it trains one run ({said}): give "
            "all the same, or start each run by itself (srun --ntasks=1)"
        )
    _check_graphs(config, processes)
    check_backbone(config.model.backbone)
    choose_backend(config.views.backend, processes.device)
    check_trackers(config.train.tracker_names)
    global_batches(config, config.batch_size, processes)  # as if there were just enough images
    share, chunk = config.batch_size // processes.world, config.train.chunk or config.batch_size
    if share // chunks_of(share, chunk) < 2:
        raise UserError(
            f"train.chunk {chunk} cuts a process's {share} images so that one is alone: choose a larger one"
        )


def _check_graphs(config: RunConfig, processes: Processes) -> None:
    if not config.train.cuda_graphs:
        return
    if processes.device.type != "cuda":
        note("train.cuda_graphs does nothing here: steps are recorded on a GPU only")
    elif processes.world > 1 and not config.train.compile:
        raise UserError(
            "with several processes train.cuda_graphs records the backbone only, for which it needs train.compile: set "
            "that to true, or train.cuda_graphs to false"
        )


def check_weights(config: RunConfig) -> None:
    """Checks the weights that a new run starts from.

    Raises:
        UserError: they cannot be read, or do not fit the network.
    """
    check_start(config.model, config.loss.alpha > 0, config.loss.alpha < 1)


class Known(NamedTuple):
    """What is known of the images before they are converted.

    Attributes:
        classes: number of classes for the online classifier; 0 for none.
        converted: whether nothing needs to be converted.
    """

    classes: int
    converted: bool


def check_images(
    config: RunConfig, found: Sources, folder: RunFolder, processes: Processes, resumed_store: str | None
) -> Known:
    """Looks at the images for training and validation, and converts none; rank 0 does it for all.

    Args:
        config: the configuration of the run.
        found: where the images are.
        folder: of the run.
        processes: the processes of the run.
        resumed_store: fingerprint of the images that a resumed run has learned from; None for a new run.

    Raises:
        UserError: there are no images or too few of them, the engine cannot read them, the classes for validation are
            others, decoded batches do not fit into memory, or a resumed run has learned from other images.
    """

    def look() -> Known:
        train_source, val_source = found
        train = look_at(train_source, config.data.engine)
        val = None if val_source is None else look_at(val_source, config.data.engine, train)
        check_validation(train, val, processes.world)
        global_batches(config, len(train.store), processes)
        converted = is_converted(train) and (val is None or is_converted(val))
        if converted:
            check_buffers(config, train, val, processes)
        if resumed_store is not None:
            _check_resumed(config, folder, train, resumed_store)
        return Known(count_classes(train.store), converted)

    return processes.gather(processes.first(look))[0]


def _check_resumed(config: RunConfig, folder: RunFolder, train: OpenedStore, resumed_store: str) -> None:
    if is_converted(train):
        check_fingerprint(resumed_store, store_fingerprint(train.store), config, folder)
    recorded = LearnedImages.read(folder.images)
    if recorded is not None:
        recorded.check(learned_images(train), config.data.path, folder.path, config.data.on_error == "skip")


def check_fingerprint(resumed: str, now: str, config: RunConfig, folder: RunFolder) -> None:
    """Checks that a resumed run goes on with the store that it has learned from.

    Args:
        resumed, now: fingerprints of that store and of the one at hand.
        config: the configuration of the run.
        folder: of the run.

    Raises:
        UserError: it is another.
    """
    if resumed != now:
        raise other_images(config.data.path, folder.path)


def note_new_defaults(config: RunConfig, folder: RunFolder, processes: Processes) -> None:
    """Notes what an option that came after the run was begun changes in it."""
    if processes.world > 1 and config.train.sync_batchnorm and folder.lacks_setting("train.sync_batchnorm"):
        note(
            "this run was begun with BatchNorm statistics of each process alone, and goes on with those of all; "
            "--train.sync_batchnorm false keeps to the old ones"
        )


def learned_images(opened: OpenedStore) -> LearnedImages:
    """What a run records of the images that it learns from."""
    return LearnedImages(opened.engine, len(opened.store), opened.store.classes)


def global_batches(config: RunConfig, samples: int, processes: Processes) -> GlobalBatches:
    """The order of ``samples`` images.

    Raises:
        UserError: they are fewer than a batch, or the processes cannot share a batch.
    """
    window = config.data.window if config.data.order == "blocks" else None
    return GlobalBatches(samples, config.batch_size, config.seed, processes.rank, processes.world, window)
