"""Decoding a folder's images with PIL in worker processes, to be timed."""

from collections.abc import Sequence

import numpy as np

from vicregl_fast.data.image_folder import ImageFolder
from vicregl_fast.data.worker_pool import WorkerPool


class PilDecoding:
    """Decodes batches and discards the pixels: a worker sends back only the number of images in a batch.

    Args:
        folder: the images.
        batches: the sample indices of each batch, int64 [b].
        workers: number of worker processes, which live as long as this object.
    """

    def __init__(self, folder: ImageFolder, batches: Sequence[np.ndarray], workers: int):
        def count(_: int, indices: np.ndarray) -> int:
            return len([folder.open(index) for index in indices.tolist()])

        self._batches = batches
        self._pool = WorkerPool(count, workers, "--workers")

    def decode(self) -> int:
        """Decodes all batches, and returns the number of images.

        Raises:
            UserError: an image does not decode.
        """
        return sum(self._pool.map(self._batches))
