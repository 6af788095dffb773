"""The default engine: ffcv's store, memory map and JPEG decoder, under our own order and threads."""

from collections.abc import Callable

import numba
import numpy as np
import torch

from dataprep.errors import UserError
from vicregl_fast.data.batches import DecodedBatch
from vicregl_fast.data.ffcv_engine.beton import Beton
from vicregl_fast.data.ffcv_engine.decoder import PackedDecoder, image_bytes

# A store's memory map is an argument of the decoder, so that a compiled one serves all stores.
_decoders: dict[bool, Callable] = {}


class FfcvEngine:
    """Turns sample indices into decoded batches, one at a time, in the calling thread's time.

    Not ffcv's ``Loader``: its iterator thread leaves the consumer waiting for ever when it fails, and ignores what the
    decoder returns. The buffer of a batch is the engine's own: a batch is valid until the next call of ``decode``.

    Args:
        store: an opened store.
        batch_size: the most images a call will ask for.
        workers: decoding threads.
        pin: page-lock the buffer, so that it can be copied to a GPU without waiting.
    """

    def __init__(self, store: Beton, batch_size: int, workers: int, pin: bool = False):
        self.store = store
        self.workers = workers
        self._code = _compiled(workers > 1, store)
        largest = np.sort(image_bytes(store.image_metadata))[-batch_size:]
        self._packed = torch.empty(int(largest.sum()), dtype=torch.uint8, pin_memory=pin)
        self._state = store.memory.schedule_epoch([]).__enter__().state

    def decode(self, indices: np.ndarray) -> DecodedBatch:
        """Decodes the images of these samples, int64 [b].

        Raises:
            UserError: an image does not decode.
        """
        if self.workers > 1:
            numba.set_num_threads(self.workers)
        offsets = np.empty(len(indices), np.int64)
        codes = np.empty(len(indices), np.int32)
        memory = (self._packed.numpy(), offsets, codes)
        self._code(indices.astype(np.int64), memory, self.store.image_metadata, self._state)
        if codes.any():
            broken = ", ".join(str(index) for index in indices[codes != 0].tolist())
            raise UserError(f"image {broken} of {self.store.path} does not decode; convert the store again")
        labels = self.store.labels
        return DecodedBatch(
            indices,
            self.store.heights[indices],
            self.store.widths[indices],
            np.full(len(indices), -1, np.int64) if labels is None else labels[indices],
            self._packed,
            offsets,
        )


def _compiled(parallel: bool, store: Beton) -> Callable:
    if parallel not in _decoders:
        code = store.attach(PackedDecoder()).generate_code()
        _decoders[parallel] = numba.njit(parallel=parallel, nogil=True)(code)
    return _decoders[parallel]
