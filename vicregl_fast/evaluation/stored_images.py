"""Single images of a folder or a store, decoded by Pillow, with their classes where there are any."""

from abc import ABC, abstractmethod
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from dataprep.errors import UserError
from dataprep.images import UnreadableImage, load_rgb
from dataprep.sources import ImageSource, list_images


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


def open_images(path: Path, list_file: Path | None = None) -> StoredImages:
    """Opens a folder of images (of it only what ``list_file`` names) or a ``.beton`` store.

    Raises:
        UserError: nothing is there, or a list is given for a store.
    """
    if path.suffix != ".beton":
        return FolderImages(list_images(path, list_file))
    if list_file is not None:
        raise UserError(f"{path} is a store, which is read whole: leave the list {list_file} out")
    from vicregl_fast.evaluation.beton_images import BetonImages  # here, so that folders need not wait for ffcv

    return BetonImages(path)


def open_image(path: Path) -> Image.Image:
    """Reads one image as RGB, with its EXIF orientation applied.

    Raises:
        UserError: naming the file and why it cannot be decoded.
    """
    try:
        return load_rgb(path)
    except UnreadableImage as error:
        raise UserError(f"{path} is unusable: {error}; mend it or take it out") from error
