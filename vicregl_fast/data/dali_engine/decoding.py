"""A DALI pipeline over a store, whose failures name the samples that caused them."""

import numpy as np
import torch
from torch import Tensor

from vicregl_fast.data.dali_engine.pipeline import JPEGS, decoding_pipeline
from vicregl_fast.data.store import Undecodable
from vicregl_fast.data.stored_images import StoredImages


class StorePipeline:
    """Decodes samples of a store; a failure leaves DALI's pipeline unusable, so that a new one follows.

    Args:
        store: whose JPEGs to decode.
        batch_size: the most images of a run.
        workers: decoding threads.
        device: what decodes.
    """

    def __init__(self, store: StoredImages, batch_size: int, workers: int, device: torch.device):
        self._store, self._options = store, (batch_size, workers, device)
        self._pipeline = decoding_pipeline(*self._options)

    def run(self, indices: np.ndarray) -> list[Tensor]:
        """The images of the samples int64 [b], uint8 [H, W, 3] each, valid until the next run.

        Raises:
            Undecodable: images that do not decode.
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
        """Tries one image alone: of some failures only does DALI say which image it was."""
        try:
            decoding_pipeline(1, 1, self._options[2]).run(**{JPEGS: [self._store.stored(index)]})
        except RuntimeError:
            return False
        return True
