"""Decodes samples of a store with a DALI pipeline, and names the samples that make it fail."""

import numpy as np
import torch
from torch import Tensor

from vicregl_fast.data.dali_engine.pipeline import JPEGS, decoding_pipeline
from vicregl_fast.data.store import Undecodable
from vicregl_fast.data.stored_images import StoredImages


class StorePipeline:
    """Decodes samples of a store. A failure leaves a DALI pipeline unusable, so that a new one is built after it.

    Args:
        store: its JPEGs are decoded.
        batch_size: the most images in a run.
        workers: decoding threads.
        device: decodes, and holds the images.
    """

    def __init__(self, store: StoredImages, batch_size: int, workers: int, device: torch.device):
        self._store, self._options = store, (batch_size, workers, device)
        self._pipeline = decoding_pipeline(*self._options)

    def run(self, indices: np.ndarray) -> list[Tensor]:
        """Decodes the images of some samples.

        Args:
            indices: the samples, int64 [b].

        Returns:
            The images, uint8 [H, W, 3] each, on the device; they are valid until the next run.

        Raises:
            Undecodable: some images do not decode.
            RuntimeError: DALI fails, although it decodes each of the images alone.
        """
        try:
            (images,) = self._pipeline.run(**{JPEGS: [self._store.stored(k) for k in indices]})
        except RuntimeError as error:
            self._pipeline = decoding_pipeline(*self._options)
            broken = [index for index in indices.tolist() if not self._decodes(index)]
            if not broken:
                raise
            raise Undecodable(self._store.path, broken) from error
        return [torch.from_dlpack(images[k]) for k in range(len(images))]

    def _decodes(self, index: int) -> bool:
        """Whether one image decodes alone. DALI does not always say which image of a batch failed, so each is tried."""
        try:
            decoding_pipeline(1, 1, self._options[2]).run(**{JPEGS: [self._store.stored(index)]})
        except RuntimeError:
            return False
        return True
