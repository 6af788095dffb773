"""A folder of images, read without conversion."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dataprep.bit_depth import find_range
from dataprep.errors import UnreadableImage, UserError
from dataprep.images import load_rgb
from dataprep.sources import ImageSource
from dataprep.value_range import FULL, ValueRange


@dataclass(frozen=True)
class ImageFolder:
    """The n images of a folder.

    Attributes:
        path: the folder.
        files: the images' paths relative to the folder, n of them.
        labels: int64 [n], or None where the folder has no classes.
        classes: the names of the classes, or None.
        taken: the values that become 0 to 255 in images of more than eight bits a channel.
    """

    path: Path
    files: tuple[str, ...]
    labels: np.ndarray | None
    classes: tuple[str, ...] | None
    taken: ValueRange = FULL

    @classmethod
    def of(cls, source: ImageSource, taken: ValueRange | None = None) -> "ImageFolder":
        """Takes over the images that ``list_images`` found, with the range that a conversion would find."""
        labels = None if source.labels is None else np.array(source.labels, np.int64)
        return cls(source.root, source.files, labels, source.classes, taken or find_range(source))

    def __len__(self) -> int:
        return len(self.files)

    def name(self, index: int) -> str:
        """How messages name an image: its path."""
        return str(self.path / self.files[index])

    def open(self, index: int) -> Image.Image:
        """Decodes one image to upright RGB.

        Raises:
            UserError: the image does not decode.
        """
        return open_image(self.path / self.files[index], self.taken)


def open_image(path: Path, taken: ValueRange = FULL) -> Image.Image:
    """Decodes one file to upright RGB; of more than eight bits a channel the values in ``taken`` become 0 to 255.

    Raises:
        UserError: the file does not decode.
    """
    try:
        return load_rgb(path, taken)
    except UnreadableImage as error:
        raise UserError(f"the image {path} does not decode: {error}; mend it or take it out") from error
