"""The default engine: ffcv's store, memory map and JPEG decoder, with this project's order and threads."""

from collections import deque
from collections.abc import Callable

import numba
import numpy as np
import torch

from vicregl_fast.augment.decoded_batch import DecodedBatch, marked_labels
from vicregl_fast.data.engine import BATCHES_HELD
from vicregl_fast.data.ffcv_engine.beton import Beton
from vicregl_fast.data.ffcv_engine.decoder import PackedDecoder
from vicregl_fast.data.store import Undecodable, largest_batch

# Compiled decoders, by whether they run in parallel. The memory map is an argument, so that one serves all stores.
_decoders: dict[bool, Callable] = {}


class FfcvEngine:
    """Turns sample indices into decoded batches. A call returns when its batch is decoded.

    It does without ffcv's ``Loader``, whose iterator thread leaves the consumer waiting for ever when it fails, and
    ignores the decoder's return codes.

    Args:
        store: an opened store.
        batch_size: the most images a call will ask for.
        workers: decoding threads.
        pin: page-lock the buffers, so that copies to a GPU need not be waited for.
    """

    def __init__(self, store: Beton, batch_size: int, workers: int, pin: bool = False):
        self.store, self.workers = store, workers
        self._code = _compiled(workers > 1, store)
        size = largest_batch(store.heights, store.widths, batch_size)
        self._buffers = deque(torch.empty(size, dtype=torch.uint8, pin_memory=pin) for _ in range(BATCHES_HELD))
        self._state = store.memory.schedule_epoch([]).__enter__().state

    def decode(self, indices: np.ndarray) -> DecodedBatch:
        """Decodes the images of the samples ``indices``, int64 [b]. The next call but one overwrites their bytes.

        Raises:
            Undecodable: an image does not decode.
        """
        if self.workers > 1:
            numba.set_num_threads(self.workers)
        packed, offsets, codes = self._buffers[0], np.empty(len(indices), np.int64), np.empty(len(indices), np.int32)
        memory = (packed.numpy(), offsets, codes)
        self._code(indices.astype(np.int64), memory, self.store.image_metadata, self._state)
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


def _compiled(parallel: bool, store: Beton) -> Callable:
    """The function of ``PackedDecoder.generate_code``, compiled at its first call."""
    if parallel not in _decoders:
        code = store.attach(PackedDecoder()).generate_code()
        _decoders[parallel] = numba.njit(parallel=parallel, nogil=True)(code)
    return _decoders[parallel]
