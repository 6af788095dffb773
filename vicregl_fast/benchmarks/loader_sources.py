"""Opens the same images for every engine that is measured: as a store, or as files for the torchvision engine."""

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
    """Opens the images for each engine; an engine that cannot read them is left out with a note.

    Args:
        path: a ``.beton`` store, or a folder of images.
        cache: folder for the store that a folder of images is converted to.
        engines: the engines to open the images for.

    Raises:
        UserError: there is nothing to read at ``path``, or none of the engines can read it.
    """
    if is_shard_folder(path):
        raise UserError(f"{path} holds WebDataset shards: give the .beton of these images, or their folder")

    def open_one(engine: EngineName) -> OpenedStore:
        if engine == "torchvision":
            return OpenedStore(engine, open_files(path))
        return open_store(Source(path, cache), engine)

    return open_each(path, engines, open_one)


def open_files(path: Path) -> ImageFolder:
    """Opens image files: those of a folder, or those that a store was made from, with its labels and range of values.

    Raises:
        UserError: the folder has no images, or not as many as the store that was made from it.
    """
    if path.is_dir():
        return ImageFolder.of(list_images(path))
    manifest = read_manifest(path)
    if not manifest.source:
        raise UserError(f"the store {path} was adopted, so that nothing says where the files of its images are")
    list_file = None if manifest.list_file is None else Path(manifest.list_file)
    taken = None if manifest.options is None else manifest.options.range
    folder = ImageFolder.of(list_images(Path(manifest.source), list_file, manifest.labels), taken)
    if len(folder) != manifest.count:
        raise UserError(f"{folder.path} has {len(folder)} images where the store {path} has {manifest.count}")
    return folder


def open_bytes(path: Path, cache: Path) -> StoredImages:
    """Opens the store at ``path``, or the one that a folder of images is converted to, for reading JPEGs.

    Raises:
        UserError: it cannot be opened, or holds other images than JPEGs.
    """
    return open_jpegs(Source(path, cache).beton())
