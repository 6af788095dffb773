"""A few images of a folder or store, drawn to be looked at."""

from pathlib import Path

import numpy as np

from vicregl_fast.data.open_images import open_images
from vicregl_fast.philox import permutation


def some_images(path: Path, count: int, seed: int) -> list[np.ndarray]:
    """Decodes at most ``count`` images, uint8 [H, W, 3] each; ``seed`` decides which.

    Raises:
        UserError: there are no images, or one does not decode.
    """
    found = open_images(path)
    return [np.array(found.open(index)) for index in permutation(seed, 0, len(found))[:count].tolist()]
