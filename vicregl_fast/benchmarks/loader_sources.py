"""The same images for every engine that is measured: a store for those that read one, the files for torchvision."""

from collections.abc import Sequence
from pathlib import Path

from dataprep.errors import UserError
from dataprep.manifest import read_manifest
from dataprep.sources import list_images
from vicregl_fast.data.config import EngineName
from vicregl_fast.data.engine_table import OpenedStore, open_store
from vicregl_fast.data.image_folder import ImageFolder
from vicregl_fast.data.side_by_side import open_each
from vicregl_fast.data.source import Source, is_shard_folder
from vicregl_fast.data.stored_images import StoredImages, open_jpegs


def open_all(path: Path, cache: Path, engines: Sequence[EngineName]) -> dict[EngineName, OpenedStore]:
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

    def open_one(engine: EngineName) -> OpenedStore:
        if engine == "torchvision":
            return OpenedStore(engine, open_files(path))
        return open_store(Source(path, cache), engine)

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


def open_bytes(path: Path, cache: Path) -> StoredImages:
    """The stored JPEGs, for bare decoding."""
    return open_jpegs(Source(path, cache).beton())
