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


def no_store(path: Path) -> UserError:
    """The error to raise where there is no store."""
    return UserError(f"there is no store at {path}; make one with: python -m dataprep ffcv FOLDER STORE.beton")


def check_same_classes(train: Store, other: Store) -> None:
    """Checks that labels mean the same in two stores, where the names of the classes of both are known.

    Classes are numbered in the order of their sorted names, so that other names would give the numbers other meanings.

    Raises:
        UserError: their classes differ.
    """
    if train.classes is None or other.classes is None or train.classes == other.classes:
        return
    odd = sorted(set(train.classes) ^ set(other.classes))[:1]
    if not odd:
        raise UserError(f"{train.path} and {other.path} number the same classes differently: convert one of them again")
    has, lacks = (train, other) if odd[0] in train.classes else (other, train)
    raise UserError(f"{has.path} has the class {odd[0]!r}, which {lacks.path} lacks: give both the same classes")


def largest_batch(heights: np.ndarray, widths: np.ndarray, batch_size: int) -> int:
    """Bytes of the largest possible decoded batch of a store.

    Args:
        heights, widths: of all images, int64 [n], pixels.
        batch_size: the most images in the batch.
    """
    return int(np.sort(heights * widths * 3)[-batch_size:].sum())
