"""The images of a store one by one, where their bytes lie: of a ``.beton`` or of WebDataset shards."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dataprep.errors import UserError
from dataprep.manifest import read_manifest
from dataprep.stored_samples import list_samples


@dataclass(frozen=True)
class StoredImages:
    """n images, image k being ``sizes[k]`` bytes from ``starts[k]`` on in file ``numbers[k]``.

    Attributes:
        path: of the store.
        heights, widths: int64 [n], pixels.
        labels: int64 [n], or None where the store has none.
        classes: their names, or None.
        files: the memory map of each file, uint8, read when it is looked at.
        numbers, starts, sizes: int64 [n].
        raw: bool [n]; pixels uint8 [height, width, 3], where the others are JPEGs.
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
        """What a message calls an image."""
        return f"image {index} of {self.path}"

    def stored(self, index: int) -> np.ndarray:
        """The bytes of one image, a uint8 view into its file."""
        start = int(self.starts[index])
        return self.files[self.numbers[index]][start : start + int(self.sizes[index])]

    def open(self, index: int) -> Image.Image:
        """The image, decoded by Pillow.

        Raises:
            UserError: it does not decode.
        """
        data = self.stored(index)
        if self.raw[index]:
            return Image.fromarray(data.reshape(int(self.heights[index]), int(self.widths[index]), 3))
        try:
            return Image.open(io.BytesIO(data.tobytes())).convert("RGB")
        except (OSError, SyntaxError) as error:
            raise UserError(f"{self.name(index)} does not decode ({error}); convert the images again") from error


def open_stored(path: Path) -> StoredImages:
    """Opens a store that ``python -m dataprep`` made.

    Raises:
        UserError: it is missing or damaged, or other than its manifest says.
    """
    if not path.exists():
        raise UserError(f"there is no store at {path}; make one with python -m dataprep ffcv FOLDER STORE.beton")
    manifest = read_manifest(path)
    manifest.check(path)
    samples = list_samples(path, manifest)
    table = samples.table
    labels = table["label"].astype(np.int64)
    return StoredImages(
        path,
        table["height"].astype(np.int64),
        table["width"].astype(np.int64),
        None if (labels < 0).any() else labels,
        manifest.classes,
        tuple(np.asarray(np.memmap(file, np.uint8, "r")) for file in samples.files),
        table["shard"].astype(np.int64),
        table["offset"].astype(np.int64),
        table["size"].astype(np.int64),
        table["raw"],
    )


def open_jpegs(path: Path) -> StoredImages:
    """Opens a store of which all images are JPEGs.

    Raises:
        UserError: what ``open_stored`` raises, or it holds images that are not compressed.
    """
    images = open_stored(path)
    if images.raw.any():
        raise UserError(
            f"{path} holds uncompressed images, where JPEGs are needed: use --data.engine ffcv, "
            "or convert the images with --mode jpg"
        )
    return images
