"""The engine that decodes JPEGs of ``.beton`` files and WebDataset shards, on a GPU where there is one."""

from collections import deque

import numpy as np
import torch
from torch import Tensor

from vicregl_fast.augment.decoded_batch import DecodedBatch, marked_labels
from vicregl_fast.data.dali_engine.decoding import StorePipeline
from vicregl_fast.data.engine import BATCHES_HELD
from vicregl_fast.data.store import Undecodable, largest_batch
from vicregl_fast.data.stored_images import StoredImages


class DaliEngine:
    """Turns sample indices into decoded batches. A call returns when its batch is decoded.

    Args:
        store: an opened store of JPEGs.
        batch_size: the most images a call will ask for.
        workers: decoding threads.
        device: decodes, and holds the pixels.
    """

    def __init__(self, store: StoredImages, batch_size: int, workers: int, device: torch.device):
        self.store = store
        self._pipeline = StorePipeline(store, batch_size, workers, device)
        size = largest_batch(store.heights, store.widths, batch_size)
        self._buffers = deque(torch.empty(size, dtype=torch.uint8, device=device) for _ in range(BATCHES_HELD))

    def decode(self, indices: np.ndarray) -> DecodedBatch:
        """Decodes the images of the samples ``indices``, int64 [b]. The next call but one overwrites their bytes.

        Raises:
            Undecodable: an image does not decode, or has another size than the store says.
        """
        images = self._pipeline.run(indices)
        heights, widths = self.store.heights[indices], self.store.widths[indices]
        sizes = heights * widths * 3
        offsets = np.cumsum(sizes) - sizes
        self._check_sizes(indices, images)
        packed = self._buffers[0]
        self._buffers.rotate(-1)
        for image, start in zip(images, offsets.tolist(), strict=True):
            packed[start : start + image.numel()].view(image.shape).copy_(image)
        if packed.is_cuda:
            torch.cuda.current_stream(packed.device).synchronize()  # the next run may overwrite the images
        return DecodedBatch(
            indices,
            heights,
            widths,
            marked_labels(self.store.labels, indices),
            packed,
            offsets,
        )

    def _check_sizes(self, indices: np.ndarray, images: list[Tensor]) -> None:
        expected = np.stack([self.store.heights[indices], self.store.widths[indices]], axis=1)
        other = (expected != [image.shape[:2] for image in images]).any(axis=1)
        if other.any():
            raise Undecodable(self.store.path, indices[other].tolist())
