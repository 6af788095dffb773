"""The default engine: ffcv's store, memory map and JPEG decoder, under our own order and threads."""

from collections.abc import Callable
from itertools import cycle
from typing import Literal

import numba
import numpy as np
import torch

from dataprep.errors import UserError
from vicregl_fast.data.batches import DecodedBatch
from vicregl_fast.data.engine import BATCHES_HELD
from vicregl_fast.data.ffcv_engine.beton import Beton
from vicregl_fast.data.ffcv_engine.decoder import PackedDecoder, image_bytes

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
        on_error: at an image that does not decode ``fail``, or ``skip`` it: another of its batch takes its place, twice
            there, and its index is said once.
    """

    def __init__(
        self,
        store: Beton,
        batch_size: int,
        workers: int,
        pin: bool = False,
        on_error: Literal["fail", "skip"] = "fail",
    ):
        self.store, self.workers, self.on_error = store, workers, on_error
        self._code = _compiled(workers > 1, store)
        size = largest_batch(store, batch_size)
        buffers = [torch.empty(size, dtype=torch.uint8, pin_memory=pin) for _ in range(BATCHES_HELD)]
        self._buffers = cycle(buffers)
        self._state = store.memory.schedule_epoch([]).__enter__().state
        self._skipped: set[int] = set()

    def decode(self, indices: np.ndarray) -> DecodedBatch:
        """The images of these samples, int64 [b]; their bytes are written over by the next call but one.

        Raises:
            UserError: an image does not decode, or with ``skip`` none of them does.
        """
        if self.workers > 1:
            numba.set_num_threads(self.workers)
        packed, offsets, codes = next(self._buffers), np.empty(len(indices), np.int64), np.empty(len(indices), np.int32)
        memory = (packed.numpy(), offsets, codes)
        self._code(indices.astype(np.int64), memory, self.store.image_metadata, self._state)
        if codes.any():
            shown = self._without(indices, codes != 0)
            indices, offsets = indices[shown], offsets[shown]
        labels = self.store.labels
        return DecodedBatch(
            indices,
            self.store.heights[indices],
            self.store.widths[indices],
            np.full(len(indices), -1, np.int64) if labels is None else labels[indices],
            packed,
            offsets,
        )

    def _without(self, indices: np.ndarray, broken: np.ndarray) -> np.ndarray:
        """Which image of the batch each place shows: its own where that decoded, else a sound one's."""
        names = ", ".join(str(index) for index in indices[broken].tolist())
        if self.on_error == "fail":
            raise UserError(
                f"image {names} of {self.store.path} does not decode; convert the store again, "
                "or leave such images out with --data.on_error skip"
            )
        if broken.all():
            raise UserError(f"none of the images {names} of {self.store.path} decodes; convert the store again")
        if set(indices[broken].tolist()) - self._skipped:
            print(f"note: image {names} of {self.store.path} does not decode; another of its batch takes its place")
            self._skipped |= set(indices[broken].tolist())
        return np.where(broken, np.argmin(broken), np.arange(len(indices)))


def largest_batch(store: Beton, batch_size: int) -> int:
    """Bytes of the decoded images of the ``batch_size`` largest ones."""
    return int(np.sort(image_bytes(store.image_metadata))[-batch_size:].sum())


def _compiled(parallel: bool, store: Beton) -> Callable:
    if parallel not in _decoders:
        code = store.attach(PackedDecoder()).generate_code()
        _decoders[parallel] = numba.njit(parallel=parallel, nogil=True)(code)
    return _decoders[parallel]
