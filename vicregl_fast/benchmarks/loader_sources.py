"""The same images for every engine that is measured: a store for those that read one, the files for torchvision."""

from collections.abc import Sequence
from pathlib import Path

from dataprep.errors import UserError
from dataprep.manifest import read_manifest
from dataprep.sources import list_images
from vicregl_fast.data.engine import EngineName, Store
from vicregl_fast.data.ffcv_engine.beton import Beton
from vicregl_fast.data.jpegs import JpegStore, jpegs_of_beton
from vicregl_fast.data.side_by_side import open_each
from vicregl_fast.data.source import is_shard_folder, open_source
from vicregl_fast.data.torchvision_engine.folder import ImageFolder


def open_all(path: Path, cache: Path, engines: Sequence[EngineName]) -> dict[str, Store]:
    """The images as each engine reads them; an engine that cannot is left out with a note.

    Args:
        path: a ``.beton`` store, or a folder of images.
        cache: where a folder is converted to.
        engines: which.

    Raises:
        UserError: nothing to read at ``path``, or none of the engines can.
    """
    if is_shard_folder(path):
        raise UserError(f"{path} holds WebDataset shards: give the .beton of these images, or their folder")

    def open_one(engine: EngineName) -> Store:
        return open_files(path) if engine == "torchvision" else open_source(path, cache, engine=engine)

    return open_each(path, engines, open_one)


def open_files(path: Path) -> ImageFolder:
    """The images' own files: of a store those that it was made from, where they still are.

    Raises:
        UserError: they are not, or not all.
    """
    if path.is_dir():
        return ImageFolder.of(list_images(path))
    manifest = read_manifest(path)
    list_file = None if manifest.list_file is None else Path(manifest.list_file)
    folder = ImageFolder.of(list_images(Path(manifest.source), list_file))
    if len(folder) != manifest.count:
        raise UserError(f"{folder.path} has {len(folder)} images where the store {path} has {manifest.count}")
    return folder


def open_bytes(path: Path, cache: Path) -> JpegStore:
    """The stored JPEGs, for bare decoding."""
    store = open_source(path, cache)
    assert isinstance(store, Beton)
    return jpegs_of_beton(store)
