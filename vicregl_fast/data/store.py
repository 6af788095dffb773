"""What opened images have in common, wherever they lie."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image

from dataprep.errors import UserError


class Store(Protocol):
    """Images in their order, with labels int64 [n] and the names of their classes where there are any."""

    @property
    def path(self) -> Path: ...

    @property
    def labels(self) -> np.ndarray | None: ...

    @property
    def classes(self) -> tuple[str, ...] | None: ...

    def __len__(self) -> int: ...


@runtime_checkable
class SizedStore(Store, Protocol):
    """A store that knows its images' sizes in pixels, int64 [n]."""

    @property
    def heights(self) -> np.ndarray: ...

    @property
    def widths(self) -> np.ndarray: ...


class Images(Store, Protocol):
    """A store whose images can be opened one by one, by Pillow."""

    def name(self, index: int) -> str:
        """What a message calls an image."""
        ...

    def open(self, index: int) -> Image.Image:
        """The image, RGB and upright.

        Raises:
            UserError: it does not decode.
        """
        ...


class Undecodable(UserError):
    """Images of a store do not decode: these samples."""

    def __init__(self, store: Path, indices: Sequence[int]):
        self.indices = tuple(indices)
        super().__init__(
            f"image {', '.join(map(str, indices))} of {store} does not decode; convert the store again, "
            "or leave such images out with --data.on_error skip"
        )


def largest_batch(heights: np.ndarray, widths: np.ndarray, batch_size: int) -> int:
    """Bytes of the decoded images of the ``batch_size`` largest of a store's images."""
    return int(np.sort(heights * widths * 3)[-batch_size:].sum())
