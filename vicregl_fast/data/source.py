"""What ``--data.path`` may name: a store, or a folder of images, which most engines need to have converted first."""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dataprep.bit_depth import find_range
from dataprep.errors import OnError, UserError
from dataprep.ffcv_store import write_store
from dataprep.labels import AUTO
from dataprep.manifest import manifest_path, read_manifest
from dataprep.notes import note
from dataprep.same_images import holds
from dataprep.shard_index import INDEX_NAME
from dataprep.sources import ImageSource, list_images
from dataprep.value_range import ValueRange
from vicregl_fast.data.shared_range import range_like, range_of
from vicregl_fast.data.store import Store


@dataclass(frozen=True)
class Source:
    """Images as a user names them.

    Attributes:
        path: a ``.beton`` file, a folder of WebDataset shards, or a folder of images.
        cache: folder for converted stores.
        list_file: names the images of a folder to use, one a line (``image_lists.read_list``); None uses all of them.
        labels: where a folder's labels come from: ``auto``, ``folders``, ``none``, or a file (``dataprep.labels``).
        on_error: what to do at an image that cannot be converted: ``fail`` or ``skip`` it.
        known_classes: names of classes, one of which a folder's only class folder may have (``label_images``).
        range: the values that become 0 to 255 in a folder's images of more than eight bits a channel; None takes those
            of other images, where the methods are given ``like``, and else finds them in the folder.

    Raises:
        UserError: there is a list, a choice of labels or a range, and ``path`` is a store.
    """

    path: Path
    cache: Path
    list_file: Path | None = None
    labels: str = AUTO
    on_error: OnError = "fail"
    range: ValueRange | None = None
    known_classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if is_store(self.path):
            refuse_for_store(self.path, self.list_file, self.labels, self.range)

    @cached_property
    def listed(self) -> ImageSource:
        """The images of the folder.

        Raises:
            UserError: ``path`` is a ``.beton`` file, or ``list_images`` raises it.
        """
        if self.path.is_file():
            raise UserError(
                f"{self.path} is a store, and the torchvision engine reads folders of images: "
                "give the folder that it was made from, or another --data.engine"
            )
        source = list_images(self.path, self.list_file, self.labels, self.known_classes)
        source.say_remarks()
        return source

    def taken(self, like: Store | None = None) -> ValueRange:
        """The values of a folder that become 0 to 255: those of ``range``, else of ``like``, else what it finds itself.

        Raises:
            UserError: the folder's images hold values beyond the range of ``like``.
        """
        shared = None if self.range is not None or like is None else range_like(self.listed, like)
        return self.range or shared or find_range(self.listed)

    def _imposed(self, like: Store | None) -> ValueRange | None:
        """The range that the folder's images do not decide."""
        return self.range or (None if like is None else range_of(like))

    def _found(self, like: Store | None) -> Path | None:
        """The store in ``cache`` that was converted from this folder, or from one with the same files elsewhere."""
        imposed = self._imposed(like)
        store = self._own_store(imposed)
        if store.exists():
            return store
        for other in sorted(self.cache.glob("*.beton")):
            try:
                root = Path(read_manifest(other).source)
                names = [_digest(root, self._content, taken) for taken in {imposed, None}]
                if other.stem.rpartition("-")[2] in names and holds(other, self.listed, imposed):
                    return other
            except UserError:
                continue  # it is damaged
        return None

    @cached_property
    def _content(self) -> bytes:
        return _sizes(self.listed)

    def _own_store(self, imposed: ValueRange | None) -> Path:
        """Where the folder is converted to."""
        digest = _digest(self.listed.root.resolve(), self._content, imposed)
        return self.cache / f"{self.path.name or 'images'}-{digest}.beton"

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of images."""
        return self.path.is_dir() and not is_shard_folder(self.path)

    def is_ready(self, like: Store | None = None) -> bool:
        """Whether a store of these images is there, so that nothing needs to be converted."""
        return not self.is_folder or self._found(like) is not None

    def beton(self, like: Store | None = None) -> Path:
        """The ``.beton`` file: ``path`` itself, or the store that a folder is converted to if that is not done yet.

        Args:
            like: other images, whose range a folder takes.

        Raises:
            UserError: nothing is there, or the conversion or ``taken`` raises it.
        """
        if self.path.is_dir():
            return self._found(like) or self._convert(like)
        if not self.path.exists():
            raise UserError(
                f"there is neither a store nor a folder of images at {self.path}; make a store with "
                f"`bash scripts/write_ffcv.sh IMAGENET {self.path.parent}` or `python -m dataprep ffcv FOLDER "
                "STORE.beton`, or see everything run on drawn images: `bash scripts/demo.sh`"
            )
        return self.path

    def store(self, like: Store | None = None) -> Path:
        """The store: ``path`` itself, or what a folder of images is converted to if that is not done yet (``beton``).

        Raises:
            UserError: ``beton`` raises it.
        """
        return self.path if is_shard_folder(self.path) else self.beton(like)

    def _convert(self, like: Store | None) -> Path:
        store = self._own_store(self._imposed(like))
        note(f"{self.path} is a folder: its {len(self.listed)} images are converted once into {store}")
        manifest = write_store(self.listed, store, range=self.taken(like), on_error=self.on_error)
        left_out = len(manifest.skipped)
        if left_out:
            note(f"{left_out} images were left out; {manifest_path(store)} names them")
        return store


def is_shard_folder(path: Path) -> bool:
    """Whether a folder holds WebDataset shards, with their index, rather than images."""
    return (path / INDEX_NAME).is_file()


def is_store(path: Path) -> bool:
    """Whether ``path`` names a store rather than a folder of images."""
    return path.suffix == ".beton" or path.is_file() or is_shard_folder(path)


def refuse_for_store(path: Path, list_file: Path | None, labels: str, taken: ValueRange | None = None) -> None:
    """Raises UserError if there is a list, a choice of labels or a range, which only folders of images take."""
    if list_file is not None:
        raise UserError(
            f"a list of files goes with a folder of images, and {path} is a store: leave the list out, or make a store "
            "with it (python -m dataprep ffcv FOLDER STORE.beton --list FILE)"
        )
    if labels != AUTO:
        raise UserError(f"a choice of labels goes with a folder of images, and {path} has its own: leave it at auto")
    if taken is not None:
        raise UserError(
            f"a range of values goes with a folder of images, and those of {path} are converted: leave it at auto"
        )


def _digest(root: Path, sizes: bytes, imposed: ValueRange | None) -> str:
    """Of a folder's real path and of its files (``_sizes``): a folder whose files change is converted again.

    So it is for another range, unless its images decide it. A file that changes but keeps its name and size is not
    noticed.
    """
    taken = b"" if imposed is None else repr(imposed).encode()
    return hashlib.sha256(os.fsencode(root) + sizes + taken).hexdigest()[:12]


def _sizes(source: ImageSource) -> bytes:
    """The names and sizes of all files, a line for each, and labels that were chosen otherwise than ``auto``."""
    lines = b"".join(os.fsencode(f"\n{name} {_size(source.root / name)}") for name in source.files)
    if source.choice == AUTO:
        return lines
    return lines + repr((source.classes, source.labels)).encode(errors="surrogateescape")


def _size(path: Path) -> int | None:
    """Bytes of a file; None where it cannot be looked at."""
    try:
        return path.stat().st_size
    except OSError:  # a broken link, for example; the conversion gives the reason
        return None
