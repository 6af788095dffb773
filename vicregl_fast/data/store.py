"""The interfaces of opened images, whatever they are stored in."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image

from dataprep.errors import UserError


class Store(Protocol):
    """n images in a fixed order.

    Attributes:
        path: file or folder of the images.
        labels: int64 [n], or None where there are none.
        classes: the names of the classes, or None.
    """

    @property
    def path(self) -> Path: ...

    @property
    def labels(self) -> np.ndarray | None: ...

    @property
    def classes(self) -> tuple[str, ...] | None: ...

    def __len__(self) -> int: ...


@runtime_checkable
class SizedStore(Store, Protocol):
    """A store that knows the sizes of its images.

    Attributes:
        heights, widths: int64 [n], pixels.
    """

    @property
    def heights(self) -> np.ndarray: ...

    @property
    def widths(self) -> np.ndarray: ...


class Images(Store, Protocol):
    """A store whose images can be opened one at a time, as Pillow images."""

    def name(self, index: int) -> str:
        """How messages name an image."""
        ...

    def open(self, index: int) -> Image.Image:
        """Decodes one image to upright RGB.

        Raises:
            UserError: the image does not decode.
        """
        ...


class Undecodable(UserError):
    """Some images of a store do not decode.

    Args:
        store: path of the store.
        indices: the samples whose images do not decode.
    """

    def __init__(self, store: Path, indices: Sequence[int]):
        self.indices = tuple(indices)
        super().__init__(
            f"image {', '.join(map(str, indices))} of {store} does not decode; convert the store again, "
            "or leave such images out with --data.on_error skip"
        )


def largest_batch(heights: np.ndarray, widths: np.ndarray, batch_size: int) -> int:
    """Bytes of the largest possible decoded batch of a store.

    Args:
        heights, widths: of all images, int64 [n], pixels.
        batch_size: the most images in the batch.
    """
    return int(np.sort(heights * widths * 3)[-batch_size:].sum())
