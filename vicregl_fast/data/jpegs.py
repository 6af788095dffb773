"""Where each JPEG's bytes lie in the memory map of a ``.beton`` store or of WebDataset shards."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dataprep.errors import UserError
from dataprep.manifest import RAW_MODE

if TYPE_CHECKING:
    from vicregl_fast.data.ffcv_engine.beton import Beton  # imports ffcv


@dataclass(frozen=True)
class JpegStore:
    """n images, image k being ``sizes[k]`` bytes from ``starts[k]`` on in file ``numbers[k]``.

    Attributes:
        path: of the store.
        heights, widths: int64 [n], pixels.
        labels: int64 [n], or None where the store has none.
        classes: their names, or None.
        files: the memory map of each file, uint8.
        numbers, starts, sizes: int64 [n].
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

    def __len__(self) -> int:
        return len(self.sizes)

    def jpeg(self, index: int) -> np.ndarray:
        """The bytes of one image, a uint8 view into its file."""
        start = int(self.starts[index])
        return self.files[self.numbers[index]][start : start + int(self.sizes[index])]


def jpegs_of_beton(store: "Beton") -> JpegStore:
    """The JPEGs of an opened ``.beton``.

    Raises:
        UserError: it holds images that are not compressed.
    """
    from vicregl_fast.data.ffcv_engine.beton import stored_bytes

    records = store.image_metadata
    if (records["mode"] == RAW_MODE).any():
        raise UserError(
            f"{store.path} holds uncompressed images, where JPEGs are needed: use --data.engine ffcv, "
            "or convert the images with --mode jpg"
        )
    return JpegStore(
        store.path,
        store.heights,
        store.widths,
        store.labels,
        store.classes,
        (map_file(store.path),),
        np.zeros(len(store), np.int64),
        records["data_ptr"].astype(np.int64),
        stored_bytes(records, store.reader.alloc_table),
    )


def map_file(path: Path) -> np.ndarray:
    """The bytes of a file, uint8, read when they are looked at."""
    return np.asarray(np.memmap(path, np.uint8, "r"))
