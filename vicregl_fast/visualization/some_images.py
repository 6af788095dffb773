"""Images to be looked at: a few of a folder or store, or one file."""

import os
from pathlib import Path

import numpy as np

from dataprep.errors import UserError
from dataprep.image_lists import SPECIAL
from dataprep.sources import ImageSource
from vicregl_fast.data.image_folder import ImageFolder
from vicregl_fast.data.shared_range import range_like
from vicregl_fast.data.store import Images
from vicregl_fast.philox import permutation


def some_images(images: Images, count: int, seed: int) -> list[np.ndarray]:
    """Decodes at most ``count`` images, uint8 [H, W, 3] each; ``seed`` decides which.

    Raises:
        UserError: one does not decode.
    """
    return [np.array(images.open(index)) for index in permutation(seed, 0, len(images))[:count].tolist()]


def one_image(path: Path, like: Images | None = None) -> np.ndarray:
    """Decodes a file, uint8 [H, W, 3].

    Args:
        path: of the file.
        like: other images, whose range of values it takes if it has more than eight bits; None takes its own.

    Raises:
        UserError: it does not decode, or holds values beyond the range of the others.
    """
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe would be waited for
        kind = "a folder" if path.is_dir() else f"no regular file {SPECIAL}"
        raise UserError(f"{path} is {kind}: give the file of an image")
    source = ImageSource(path.parent, (path.name,), None, None)
    taken = None if like is None else range_like(source, like)
    return np.array(ImageFolder.of(source, taken).open(0))
