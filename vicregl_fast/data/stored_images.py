"""Access to the single images of a store, a ``.beton`` file or WebDataset shards, by where their bytes lie."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dataprep.errors import UserError
from dataprep.manifest import read_manifest
from dataprep.stored_samples import list_samples
from vicregl_fast.augment.decoded_batch import known_labels
from vicregl_fast.data.open_files import missing_open_files
from vicregl_fast.data.store import no_store


@dataclass(frozen=True)
class StoredImages:
    """The n images of a store.

    Attributes:
        path: of the store.
        heights, widths: int64 [n], pixels.
        labels: int64 [n], or None where the store has none.
        classes: the names of the classes, or None.
        files: a memory map of each file of the store, uint8 [bytes].
        numbers: which of the files each image lies in, int64 [n].
        starts, sizes: where in its file each image begins, and how long it is, int64 [n], bytes.
        raw: whether each image is stored as pixels, uint8 [height, width, 3], instead of as a JPEG; bool [n].
    """

    path: Path
    heights: np.ndarray
    widths: np.ndarray
    labels: np.ndarray | None
    classes: tuple[str, ...] | None
    files: tuple[np.ndarray, ...]
    numbers: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    raw: np.ndarray

    def __len__(self) -> int:
        return len(self.sizes)

    def name(self, index: int) -> str:
        """How messages name an image."""
        return f"image {index} of {self.path}"

    def stored(self, index: int) -> np.ndarray:
        """The stored bytes of one image, a view uint8 [bytes] into the memory map of its file."""
        start = int(self.starts[index])
        return self.files[self.numbers[index]][start : start + int(self.sizes[index])]

    def open(self, index: int) -> Image.Image:
        """Decodes one image to RGB by Pillow. Stored images are upright.

        Raises:
            UserError: the image does not decode.
        """
        data = self.stored(index)
        try:
            if self.raw[index]:
                return Image.fromarray(data.reshape(int(self.heights[index]), int(self.widths[index]), 3))
            return Image.open(io.BytesIO(data.tobytes())).convert("RGB")
        except (OSError, SyntaxError, ValueError) as error:
            raise UserError(f"{self.name(index)} does not decode ({error}); convert the images again") from error


def open_stored(path: Path) -> StoredImages:
    """Opens a store that ``python -m dataprep`` made.

    Raises:
        UserError: the store is missing or damaged, or does not fit its manifest.
    """
    if not path.exists():
        raise no_store(path)
    manifest = read_manifest(path)
    manifest.check(path)
    samples = list_samples(path, manifest)
    table = samples.table
    labels = table["label"].astype(np.int64)
    return StoredImages(
        path,
        table["height"].astype(np.int64),
        table["width"].astype(np.int64),
        known_labels(labels),
        manifest.classes,
        _mapped(samples.files),
        table["shard"].astype(np.int64),
        table["offset"].astype(np.int64),
        table["size"].astype(np.int64),
        table["raw"].copy(),  # a view would keep the whole table
    )


def _mapped(files: Sequence[Path]) -> tuple[np.ndarray, ...]:
    """A memory map of each file, uint8 [bytes].

    Python's maps keep their files open, torch's do not. But since one may write to torch's, which leaves the files as
    they are, Linux sets memory aside for them in its strictest setting. They are for where too few files may be open.
    """
    if not missing_open_files(len(files)):
        return tuple(np.asarray(np.memmap(file, np.uint8, "r")) for file in files)
    return tuple(torch.from_file(str(file), False, file.stat().st_size, dtype=torch.uint8).numpy() for file in files)


def open_jpegs(path: Path) -> StoredImages:
    """Opens a store of which all images are JPEGs.

    Raises:
        UserError: ``open_stored`` raises it, or the store holds uncompressed images.
    """
    images = open_stored(path)
    if images.raw.any():
        raise UserError(
            f"{path} holds uncompressed images, where JPEGs are needed: use --data.engine ffcv, "
            "or convert the images with --mode jpg"
        )
    return images
