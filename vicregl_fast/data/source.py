"""What ``--data.path`` may name: a store, or a folder of images that is converted once beside the run."""

import hashlib
from pathlib import Path

from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.sources import list_images
from vicregl_fast.data.ffcv_engine.beton import Beton, open_beton


def open_source(path: Path, cache: Path, list_file: Path | None = None) -> Beton:
    """Opens a store, or converts a folder into ``cache`` once and opens that.

    Args:
        path: a ``.beton`` file or a folder of images.
        cache: folder for converted stores.
        list_file: files of the folder to use, one relative path a line; all of them without one.

    Raises:
        UserError: nothing there, or nothing that can be converted.
    """
    if path.is_dir():
        return open_beton(_converted(path, cache, list_file))
    if not path.exists():
        raise UserError(
            f"there is no store at {path}; make one with `bash scripts/write_ffcv.sh IMAGENET {path.parent}` or "
            f"`python -m dataprep ffcv FOLDER {path}`, or see everything run on drawn images: `bash scripts/demo.sh`"
        )
    if list_file is not None:
        raise UserError(f"a list of files goes with a folder of images, and {path} is a store: leave the list out")
    return open_beton(path)


def _converted(folder: Path, cache: Path, list_file: Path | None) -> Path:
    source = list_images(folder, list_file)
    names = "\n".join([str(folder.resolve()), *source.files])
    store = cache / f"{folder.name or 'images'}-{hashlib.sha256(names.encode()).hexdigest()[:12]}.beton"
    if not store.exists():
        print(f"{folder} is a folder: converting its {len(source.files)} images once into {store}")
        cache.mkdir(parents=True, exist_ok=True)
        write_store(source, store)
    return store
