"""The default engine: ffcv's store, memory map and JPEG decoder, under our own order and threads."""

from collections import deque
from collections.abc import Callable

import numba
import numpy as np
import torch

from vicregl_fast.augment.decoded_batch import DecodedBatch
from vicregl_fast.data.engine import BATCHES_HELD
from vicregl_fast.data.ffcv_engine.beton import Beton
from vicregl_fast.data.ffcv_engine.decoder import PackedDecoder
from vicregl_fast.data.store import Undecodable, largest_batch

# A store's memory map is an argument of the decoder, so that a compiled one serves all stores.
_decoders: dict[bool, Callable] = {}


class FfcvEngine:
    """Turns sample indices into decoded batches, one at a time, in the calling thread's time.

    Not ffcv's ``Loader``: its iterator thread leaves the consumer waiting for ever when it fails, and ignores what the
    decoder returns.

    Args:
        store: an opened store.
        batch_size: the most images a call will ask for.
        workers: decoding threads.
        pin: page-lock the buffers, so that they can be copied to a GPU without waiting.
    """

    def __init__(self, store: Beton, batch_size: int, workers: int, pin: bool = False):
        self.store, self.workers = store, workers
        self._code = _compiled(workers > 1, store)
        size = largest_batch(store.heights, store.widths, batch_size)
        self._buffers = deque(torch.empty(size, dtype=torch.uint8, pin_memory=pin) for _ in range(BATCHES_HELD))
        self._state = store.memory.schedule_epoch([]).__enter__().state

    def decode(self, indices: np.ndarray) -> DecodedBatch:
        """The images of these samples, int64 [b]; their bytes are written over by the next call but one.

        Raises:
            Undecodable: an image does not decode.
        """
        if self.workers > 1:
            numba.set_num_threads(self.workers)
        packed, offsets, codes = self._buffers[0], np.empty(len(indices), np.int64), np.empty(len(indices), np.int32)
        memory = (packed.numpy(), offsets, codes)
        self._code(indices.astype(np.int64), memory, self.store.image_metadata, self._state)
        if codes.any():
            raise Undecodable(self.store.path, indices[codes != 0].tolist())  # the next call may have this buffer
        self._buffers.rotate(-1)
        labels = self.store.labels
        return DecodedBatch(
            indices,
            self.store.heights[indices],
            self.store.widths[indices],
            np.full(len(indices), -1, np.int64) if labels is None else labels[indices],
            packed,
            offsets,
        )


def _compiled(parallel: bool, store: Beton) -> Callable:
    if parallel not in _decoders:
        code = store.attach(PackedDecoder()).generate_code()
        _decoders[parallel] = numba.njit(parallel=parallel, nogil=True)(code)
    return _decoders[parallel]
