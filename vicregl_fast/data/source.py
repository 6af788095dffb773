"""What ``--data.path`` may name: a store, or a folder of images, which most engines need to have converted first."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from dataprep.errors import OnError, UserError
from dataprep.ffcv_store import write_store
from dataprep.labels import AUTO
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
        list_file: names the images of a folder to use, one relative path a line; None uses all of them.
        labels: where a folder's labels come from: ``auto``, ``folders``, ``none``, or a file (``dataprep.labels``).
        on_error: what to do at an image that cannot be converted: ``fail`` or ``skip`` it.

    Raises:
        UserError: there is a list or a choice of labels, and ``path`` is a store.
    """

    path: Path
    cache: Path
    list_file: Path | None = None
    labels: str = AUTO
    on_error: OnError = "fail"

    def __post_init__(self) -> None:
        if is_store(self.path):
            refuse_for_store(self.path, self.list_file, self.labels)

    def folder(self) -> ImageSource:
        """Lists the images of the folder.

        Raises:
            UserError: ``path`` is a ``.beton`` file, or ``list_images`` raises it.
        """
        if self.path.is_file():
            raise UserError(
                f"{self.path} is a store, and the torchvision engine reads folders of images: "
                "give the folder that it was made from, or another --data.engine"
            )
        source = self._list()
        source.say_remarks()
        return source

    def beton(self) -> Path:
        """The ``.beton`` file: ``path`` itself, or the store that a folder is converted to if that is not done yet.

        Raises:
            UserError: nothing is there, or the conversion raises it.
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

    def store(self) -> Path:
        """The store: ``path`` itself, or what a folder of images is converted to if that is not done yet.

        Raises:
            UserError: nothing is there, or the conversion raises it.
        """
        return self.path if is_shard_folder(self.path) else self.beton()

    def _list(self) -> ImageSource:
        return list_images(self.path, self.list_file, self.labels)

    def _converted(self) -> Path:
        source = self._list()
        store = self.cache / f"{self.path.name or 'images'}-{_digest(source)[:12]}.beton"
        if not store.exists():
            note(f"{self.path} is a folder: its {len(source.files)} images are converted once into {store}")
            left_out = len(write_store(source, store, on_error=self.on_error).skipped)
            if left_out:
                note(f"{left_out} images were left out; {manifest_path(store)} names them")
        else:
            source.say_remarks()
        return store


def is_shard_folder(path: Path) -> bool:
    """Whether a folder holds WebDataset shards, with their index, rather than images."""
    return (path / INDEX_NAME).is_file()


def is_store(path: Path) -> bool:
    """Whether ``path`` names a store rather than a folder of images."""
    return path.suffix == ".beton" or path.is_file() or is_shard_folder(path)


def refuse_for_store(path: Path, list_file: Path | None, labels: str) -> None:
    """Raises UserError if there is a list or a choice of labels, which only folders of images take."""
    if list_file is not None:
        raise UserError(f"a list of files goes with a folder of images, and {path} is a store: leave the list out")
    if labels != AUTO:
        raise UserError(f"a choice of labels goes with a folder of images, and {path} has its own: leave it at auto")


def _digest(source: ImageSource) -> str:
    """SHA-256 over the folder's path, the names and sizes of its files, and labels that were chosen otherwise than
    ``auto``: a changed folder is converted again.

    A file that changes but keeps its size is not noticed.
    """
    digest = hashlib.sha256(os.fsencode(source.root.resolve()))
    for name in source.files:
        digest.update(os.fsencode(f"\n{name} {_size(source.root / name)}"))
    if source.choice != AUTO:
        digest.update(repr((source.classes, source.labels)).encode(errors="surrogateescape"))
    return digest.hexdigest()


def _size(path: Path) -> int | None:
    """Bytes of a file; None where it cannot be looked at."""
    try:
        return path.stat().st_size
    except OSError:  # a broken link, for example; the conversion gives the reason
        return None
