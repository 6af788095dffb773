"""What ``--data.path`` may name: a store, or a folder of images, which most engines need converted first."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from dataprep.errors import OnError, UserError
from dataprep.ffcv_store import write_store
from dataprep.manifest import manifest_path
from dataprep.notes import note
from dataprep.shard_index import INDEX_NAME
from dataprep.sources import ImageSource, list_images


@dataclass(frozen=True)
class Source:
    """Images as a user names them.

    Attributes:
        path: a ``.beton`` file, a folder of WebDataset shards, or a folder of images.
        cache: folder for converted stores.
        list_file: files of the folder to use, one relative path a line; all of them without one.
        on_error: at an image of a folder that cannot be converted.
    """

    path: Path
    cache: Path
    list_file: Path | None = None
    on_error: OnError = "fail"

    def __post_init__(self) -> None:
        if self.list_file is not None and (self.path.is_file() or is_shard_folder(self.path)):
            raise UserError(
                f"a list of files goes with a folder of images, and {self.path} is a store: leave the list out"
            )

    def folder(self) -> ImageSource:
        """The images of a folder.

        Raises:
            UserError: ``path`` is a store, or what ``list_images`` raises.
        """
        if self.path.is_file():
            raise UserError(
                f"{self.path} is a store, and the torchvision engine reads folders of images: "
                "give the folder that it was made from, or another --data.engine"
            )
        return list_images(self.path, self.list_file)

    def beton(self) -> Path:
        """The ``.beton`` file: ``path``, or for a folder what it is converted to, once.

        Raises:
            UserError: nothing is there, or what the conversion raises.
        """
        if self.path.is_dir():
            return self._converted()
        if not self.path.exists():
            raise UserError(
                f"there is neither a store nor a folder of images at {self.path}; make a store with "
                f"`bash scripts/write_ffcv.sh IMAGENET {self.path.parent}` or `python -m dataprep ffcv FOLDER "
                "STORE.beton`, or see everything run on drawn images: `bash scripts/demo.sh`"
            )
        return self.path

    def _converted(self) -> Path:
        source = list_images(self.path, self.list_file)
        store = self.cache / f"{self.path.name or 'images'}-{_digest(source)[:12]}.beton"
        if not store.exists():
            note(f"{self.path} is a folder: its {len(source.files)} images are converted once into {store}")
            left_out = len(write_store(source, store, on_error=self.on_error).skipped)
            if left_out:
                note(f"{left_out} images were left out; {manifest_path(store)} names them")
        return store


def is_shard_folder(path: Path) -> bool:
    """Whether a folder holds WebDataset shards, with their index, rather than images."""
    return (path / INDEX_NAME).is_file()


def is_store(path: Path) -> bool:
    """Whether ``path`` names a store rather than a folder of images."""
    return path.suffix == ".beton" or is_shard_folder(path)


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
