"""What ``--data.path`` may name: a store, or a folder of images, which most engines need converted first."""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.manifest import manifest_path
from dataprep.shard_index import INDEX_NAME
from dataprep.sources import ImageSource, list_images
from vicregl_fast.data.engine import EngineName, Store
from vicregl_fast.data.jpegs import jpegs_of_beton
from vicregl_fast.data.torchvision_engine.folder import ImageFolder

if TYPE_CHECKING:
    from vicregl_fast.data.ffcv_engine.beton import Beton  # imports ffcv, which the other engines do without


def open_source(
    path: Path,
    cache: Path,
    list_file: Path | None = None,
    engine: EngineName = "auto",
    on_error: Literal["fail", "skip"] = "fail",
) -> Store:
    """Opens a store for an engine, or converts a folder of images into ``cache`` once and opens that.

    Args:
        path: a ``.beton`` file, a folder of WebDataset shards, or a folder of images.
        cache: folder for converted stores.
        list_file: files of the folder to use, one relative path a line; all of them without one.
        engine: what will read it; the torchvision engine takes a folder of images as it is.
        on_error: at an image of a folder that cannot be converted.

    Returns:
        A ``Beton`` for the ffcv engine, a ``JpegStore`` for DALI, an ``ImageFolder`` for torchvision.

    Raises:
        UserError: nothing there, nothing that can be converted, or nothing that this engine reads.
    """
    if list_file is not None and (path.is_file() or is_shard_folder(path)):
        raise UserError(f"a list of files goes with a folder of images, and {path} is a store: leave the list out")
    if is_shard_folder(path):
        return _open_shards(path, engine)
    if engine == "torchvision":
        return _open_folder(path, list_file)
    if engine == "dali":
        import vicregl_fast.data.dali_engine  # noqa: F401  # that DALI is missing is said before anything is converted

        return jpegs_of_beton(_open_beton(path, cache, list_file, on_error))
    return _open_beton(path, cache, list_file, on_error)


def is_shard_folder(path: Path) -> bool:
    """Whether a folder holds WebDataset shards, with their index, rather than images."""
    return (path / INDEX_NAME).is_file()


def _open_shards(path: Path, engine: EngineName) -> Store:
    if engine not in ("auto", "dali"):
        raise UserError(
            f"{path} holds WebDataset shards, which the {engine} engine cannot read: use --data.engine dali"
        )
    from vicregl_fast.data.dali_engine.shards import open_shards

    return open_shards(path)


def _open_folder(path: Path, list_file: Path | None) -> ImageFolder:
    if path.is_file():
        raise UserError(
            f"{path} is a store, and the torchvision engine reads folders of images: "
            "give the folder that it was made from, or another --data.engine"
        )
    return ImageFolder.of(list_images(path, list_file))


def _open_beton(path: Path, cache: Path, list_file: Path | None, on_error: str) -> "Beton":
    from vicregl_fast.data.ffcv_engine.beton import open_beton

    if path.is_dir():
        return open_beton(_converted(path, cache, list_file, on_error))
    if not path.exists():
        raise UserError(
            f"there is neither a store nor a folder of images at {path}; make a store with `bash scripts/write_ffcv.sh "
            f"IMAGENET {path.parent}` or `python -m dataprep ffcv FOLDER STORE.beton`, or see everything run on drawn "
            "images: `bash scripts/demo.sh`"
        )
    return open_beton(path)


def _converted(folder: Path, cache: Path, list_file: Path | None, on_error: str) -> Path:
    source = list_images(folder, list_file)
    store = cache / f"{folder.name or 'images'}-{_digest(source)[:12]}.beton"
    if not store.exists():
        print(f"{folder} is a folder: converting its {len(source.files)} images once into {store}")
        left_out = len(write_store(source, store, on_error=on_error).skipped)
        if left_out:
            print(f"{left_out} images were left out; {manifest_path(store)} names them")
    return store


def _digest(source: ImageSource) -> str:
    """Of where the files are, their names and sizes: a folder that has changed is converted again."""
    digest = hashlib.sha256(os.fsencode(source.root.resolve()))
    for name in source.files:
        digest.update(os.fsencode(f"\n{name} {_size(source.root / name)}"))
    return digest.hexdigest()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:  # a link to nothing, say; converting it gives the reason
        return None
