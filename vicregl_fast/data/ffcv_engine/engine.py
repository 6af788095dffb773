"""The default engine: FFCV's JPEG decoder on Numba's threads, fed from the memory map of a ``.beton`` store."""

from collections import deque

import numba
import numpy as np
import torch

from vicregl_fast.augment.decoded_batch import DecodedBatch, marked_labels
from vicregl_fast.data.engine import BATCHES_HELD
from vicregl_fast.data.ffcv_engine.packed_images import decode_packed
from vicregl_fast.data.store import Undecodable, largest_batch
from vicregl_fast.data.stored_images import StoredImages


class FfcvEngine:
    """Turns sample indices into decoded batches. A call returns when its batch is decoded.

    It does without ffcv's ``Loader``, whose iterator thread leaves the consumer waiting for ever when it fails, and
    ignores the decoder's return codes.

    Args:
        store: an opened ``.beton`` store.
        batch_size: the most images a call will ask for.
        workers: decoding threads.
        pin: page-lock the buffers, so that copies to a GPU need not be waited for.
    """

    def __init__(self, store: StoredImages, batch_size: int, workers: int, pin: bool = False):
        self.store, self.workers = store, workers
        size = largest_batch(store.heights, store.widths, batch_size)
        self._buffers = deque(torch.empty(size, dtype=torch.uint8, pin_memory=pin) for _ in range(BATCHES_HELD))

    def decode(self, indices: np.ndarray) -> DecodedBatch:
        """Decodes the images of the samples ``indices``, int64 [b]. The next call but one overwrites their bytes.

        Raises:
            Undecodable: an image does not decode.
        """
        if self.workers > 1:
            numba.set_num_threads(self.workers)
        packed = self._buffers[0]
        offsets, codes = decode_packed(self.store, indices, packed.numpy(), parallel=self.workers > 1)
        if codes.any():
            raise Undecodable(self.store.path, indices[codes != 0].tolist())  # the next call takes the same buffer
        self._buffers.rotate(-1)
        return DecodedBatch(
            indices,
            self.store.heights[indices],
            self.store.widths[indices],
            marked_labels(self.store.labels, indices),
            packed,
            offsets,
        )
