"""Single images of a folder or a store, decoded by Pillow, with their classes where there are any."""

import io
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dataprep.errors import UserError
from dataprep.images import UnreadableImage, load_rgb
from dataprep.sources import ImageSource, list_images
from vicregl_fast.data.beton import Beton, open_beton
from vicregl_fast.data.decoder import IMAGE_MODES


class StoredImages(ABC):
    """n images.

    Attributes:
        path: the folder or store.
        labels: int64 [n], or None where there are none.
        classes: names of the classes, or None where they are not known.
    """

    path: Path
    labels: Tensor | None
    classes: tuple[str, ...] | None

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def open(self, index: int) -> Image.Image:
        """The RGB image; a UserError names it where it cannot be decoded."""


class FolderImages(StoredImages):
    """Images of a folder; class folders give labels."""

    def __init__(self, source: ImageSource):
        self.path = source.root
        self.labels = None if source.labels is None else torch.tensor(source.labels)
        self.classes = source.classes
        self._files = source.files

    def __len__(self) -> int:
        return len(self._files)

    def open(self, index: int) -> Image.Image:
        return open_image(self.path / self._files[index])


class BetonImages(StoredImages):
    """Images of a ``.beton`` store."""

    def __init__(self, store: Beton):
        self.path = store.path
        self.labels = None if store.labels is None else torch.from_numpy(store.labels)
        self.classes = store.classes
        self._records = store.image_metadata
        allocations = store.reader.alloc_table
        self._sizes = dict(zip(allocations["ptr"].tolist(), allocations["size"].tolist(), strict=True))

    def __len__(self) -> int:
        return len(self._records)

    def open(self, index: int) -> Image.Image:
        record = self._records[index]
        start = int(record["data_ptr"])
        with self.path.open("rb") as file:
            file.seek(start)
            data = file.read(self._sizes[start])
        if record["mode"] == IMAGE_MODES["raw"]:
            shape = (int(record["height"]), int(record["width"]), 3)
            return Image.fromarray(np.frombuffer(data, np.uint8).reshape(shape))
        try:
            return Image.open(io.BytesIO(data)).convert("RGB")
        except (OSError, SyntaxError) as error:
            raise UserError(f"image {index} of {self.path} cannot be decoded ({error}): convert it again") from error


def open_images(path: Path, list_file: Path | None = None) -> StoredImages:
    """Opens a folder of images (of it only what ``list_file`` names) or a ``.beton`` store.

    Raises:
        UserError: nothing is there, or a list is given for a store.
    """
    if path.suffix != ".beton":
        return FolderImages(list_images(path, list_file))
    if list_file is not None:
        raise UserError(f"{path} is a store, which is read whole: leave the list {list_file} out")
    return BetonImages(open_beton(path))


def open_image(path: Path) -> Image.Image:
    """Reads one image as RGB, with its EXIF orientation applied.

    Raises:
        UserError: naming the file and why it cannot be decoded.
    """
    try:
        return load_rgb(path)
    except UnreadableImage as error:
        raise UserError(f"{path} is unusable: {error}; mend it or take it out") from error
