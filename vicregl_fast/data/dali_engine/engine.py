"""The engine for stores of JPEGs in any layout, and for GPUs that decode them."""

import numpy as np
import torch
from torch import Tensor

from vicregl_fast.data.batches import DecodedBatch
from vicregl_fast.data.dali_engine.decoding import StorePipeline, undecodable
from vicregl_fast.data.dali_engine.pipelines import decoding_pipeline
from vicregl_fast.data.jpegs import JpegStore


class DaliEngine:
    """Turns sample indices into decoded batches, one at a time, in the calling thread's time.

    The buffer of a batch is the engine's own: a batch is valid until the next call of ``decode``.

    Args:
        store: an opened store.
        batch_size: the most images a call will ask for.
        workers: decoding threads.
        device: what decodes, and where the pixels are then.
    """

    def __init__(self, store: JpegStore, batch_size: int, workers: int, device: torch.device):
        self.store = store
        self._pipeline = StorePipeline(store, device, lambda: decoding_pipeline(batch_size, workers, device))
        largest = np.sort(store.heights * store.widths * 3)[-batch_size:]
        self._packed = torch.empty(int(largest.sum()), dtype=torch.uint8, device=device)

    def decode(self, indices: np.ndarray) -> DecodedBatch:
        """Decodes the images of these samples, int64 [b].

        Raises:
            UserError: an image does not decode, or has another size than the store says.
        """
        (images,) = self._pipeline.run(indices)
        heights, widths = self.store.heights[indices], self.store.widths[indices]
        sizes = heights * widths * 3
        offsets = np.cumsum(sizes) - sizes
        self._check_sizes(indices, images)
        for image, start in zip(images, offsets.tolist(), strict=True):
            self._packed[start : start + image.numel()].view(image.shape).copy_(image)
        if self._packed.is_cuda:
            torch.cuda.current_stream(self._packed.device).synchronize()  # DALI may write over its images again
        labels = self.store.labels
        return DecodedBatch(
            indices,
            heights,
            widths,
            np.full(len(indices), -1, np.int64) if labels is None else labels[indices],
            self._packed,
            offsets,
        )

    def _check_sizes(self, indices: np.ndarray, images: list[Tensor]) -> None:
        expected = np.stack([self.store.heights[indices], self.store.widths[indices]], axis=1)
        other = (expected != [image.shape[:2] for image in images]).any(axis=1)
        if other.any():
            raise undecodable(self.store, indices[other])
