"""The table of engines: how each opens a source, and how it makes view batches of what it opened."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from dataprep.errors import OnError, UserError
from dataprep.value_range import FULL
from vicregl_fast.data.config import EngineChoice, EngineName
from vicregl_fast.data.engine import Engine, Feed
from vicregl_fast.data.engine_feed import EngineFeed
from vicregl_fast.data.image_folder import ImageFolder
from vicregl_fast.data.skip_undecodable import SkipUndecodable
from vicregl_fast.data.source import Source, is_shard_folder
from vicregl_fast.data.store import Images, Store
from vicregl_fast.data.stored_images import StoredImages, open_jpegs, open_stored
from vicregl_fast.data.views import ViewMaker
from vicregl_fast.devices import choose_device


@dataclass(frozen=True)
class FeedOptions:
    """How an engine works.

    Attributes:
        batch_size: the most images in a batch of this process.
        workers: decoding threads of this process; worker processes for the torchvision engine. With 0 the thread that
            loads decodes.
        on_error: what to do at an image that does not decode: ``fail`` or ``skip`` it.
    """

    batch_size: int
    workers: int
    on_error: OnError = "fail"

    @property
    def threads(self) -> int:
        """Decoding threads, at least 1."""
        return max(1, self.workers)


@dataclass(frozen=True)
class OpenedStore:
    """A store, and the engine that it was opened for.

    Attributes:
        engine: name of the engine.
        store: what the engine's ``open`` returned.
    """

    engine: EngineName
    store: Store


class EngineRow(NamedTuple):
    """A row of the table.

    Attributes:
        open: opens a source as a store that the engine reads; a folder takes the range of a second store, if given.
        feed: makes a feed from a store that ``open`` returned.
        load: imports what the engine needs; raises UserError where that is not installed.
        reads_shards: whether it reads WebDataset shards.
        reads_folders: whether it reads a folder of images as it is, so that it is not converted.
        skips: whether it can leave out images that do not decode.
    """

    open: Callable[[Source, Store | None], Store]
    feed: Callable[[Store, ViewMaker, FeedOptions], Feed]
    load: Callable[[], object]
    reads_shards: bool = False
    reads_folders: bool = False
    skips: bool = True


def open_store(source: Source, engine: EngineChoice = "auto", like: Store | None = None) -> OpenedStore:
    """Opens a source for an engine. All engines but torchvision convert a folder of images first.

    Args:
        source: where the images are.
        engine: what will read them; ``auto`` takes dali for shards, else ffcv.
        like: other images, whose range of values a folder of images takes (``range_like``).

    Raises:
        UserError: nothing is there, it cannot be converted, or this engine cannot read it.
    """
    name = choose_engine(source, engine)
    return OpenedStore(name, ENGINE_TABLE[name].open(source, like))


def look_at(source: Source, engine: EngineChoice = "auto", like: OpenedStore | None = None) -> OpenedStore:
    """Opens a source as ``open_store`` does, but lists a folder that is not converted yet instead of converting it.

    So it does with a folder that takes the range of images that are not converted yet.

    Raises:
        UserError: nothing is there, or this engine cannot read it.
    """
    name = choose_engine(source, engine)
    known = None if like is None else like.store
    range_is_known = like is None or is_converted(like)
    if ENGINE_TABLE[name].reads_folders or not source.is_folder or (range_is_known and source.is_ready(known)):
        return OpenedStore(name, ENGINE_TABLE[name].open(source, known))
    return OpenedStore(name, ImageFolder.of(source.listed, FULL))  # no image is read


def is_converted(opened: OpenedStore) -> bool:
    """Whether what ``look_at`` returned is what the engine reads, so that nothing needs to be converted."""
    return ENGINE_TABLE[opened.engine].reads_folders or not isinstance(opened.store, ImageFolder)


def choose_engine(source: Source, engine: EngineChoice) -> EngineName:
    """The engine that reads a source: ``auto`` takes dali for shards, else ffcv.

    Raises:
        UserError: the engine cannot read it, cannot do what ``source.on_error`` says, or is not installed.
    """
    shards = is_shard_folder(source.path)
    if engine == "auto":
        engine = "dali" if shards else "ffcv"
    row = ENGINE_TABLE[engine]
    if shards and not row.reads_shards:
        raise UserError(
            f"{source.path} holds WebDataset shards, which the {engine} engine cannot read: use --data.engine dali"
        )
    _check_skipping(engine, source.on_error)
    row.load()
    return engine


def open_feed(opened: OpenedStore, maker: ViewMaker, options: FeedOptions) -> Feed:
    """Builds what makes view batches of a store's images, with the engine that the store was opened for.

    Args:
        opened: what ``open_store`` returned.
        maker: makes the views.
        options: how the engine works.

    Raises:
        UserError: ``on_error`` is ``skip``, which the torchvision engine cannot do.
    """
    _check_skipping(opened.engine, options.on_error)
    return ENGINE_TABLE[opened.engine].feed(opened.store, maker, options)


def _check_skipping(engine: EngineName, on_error: OnError) -> None:
    if on_error == "skip" and not ENGINE_TABLE[engine].skips:
        raise UserError(f"--data.on_error skip goes with stores: the {engine} engine stops at a broken file")


def _load_ffcv() -> None:
    try:
        import vicregl_fast.data.ffcv_engine.native  # noqa: F401  # loads ffcv's library, which other engines do not need
    except UserError as error:
        raise UserError(f"{error}, or choose another --data.engine than ffcv") from error


def _open_ffcv(source: Source, like: Store | None) -> Store:
    return open_stored(source.beton(like))


def _feed_ffcv(store: Store, maker: ViewMaker, options: FeedOptions) -> Feed:
    from vicregl_fast.data.ffcv_engine.engine import FfcvEngine

    assert isinstance(store, StoredImages)
    engine = FfcvEngine(store, options.batch_size, options.threads, pin=maker.device.type == "cuda")
    return _engine_feed(engine, maker, options)


def _load_dali() -> None:
    import vicregl_fast.data.dali_engine  # noqa: F401  # says how to install it


def _open_dali(source: Source, like: Store | None) -> Store:
    return open_jpegs(source.store(like))


def _feed_dali(store: Store, maker: ViewMaker, options: FeedOptions) -> Feed:
    from vicregl_fast.data.dali_engine.engine import DaliEngine

    assert isinstance(store, StoredImages)
    device = choose_device("cpu") if maker.backend == "numba" else maker.device
    return _engine_feed(DaliEngine(store, options.batch_size, options.threads, device), maker, options)


def _load_torchvision() -> None:
    """It is always installed."""


def _open_torchvision(source: Source, like: Store | None) -> Store:
    return ImageFolder.of(source.listed, source.taken(like))


def _feed_torchvision(store: Store, maker: ViewMaker, options: FeedOptions) -> Feed:
    from vicregl_fast.data.torchvision_engine.feed import TorchvisionFeed

    images: Images = store  # type: ignore[assignment]  # a folder, or the images of a store
    return TorchvisionFeed(images, maker, options.workers)


def _engine_feed(engine: Engine, maker: ViewMaker, options: FeedOptions) -> EngineFeed:
    return EngineFeed(SkipUndecodable(engine) if options.on_error == "skip" else engine, maker)


ENGINE_TABLE: dict[EngineName, EngineRow] = {
    "ffcv": EngineRow(_open_ffcv, _feed_ffcv, _load_ffcv),
    "dali": EngineRow(_open_dali, _feed_dali, _load_dali, reads_shards=True),
    "torchvision": EngineRow(_open_torchvision, _feed_torchvision, _load_torchvision, reads_folders=True, skips=False),
}
