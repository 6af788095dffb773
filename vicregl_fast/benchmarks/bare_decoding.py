"""Decoding by libjpeg-turbo and nothing else, of pixels mere copying: what the engines' speed is compared with."""

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np

from dataprep.errors import UserError
from vicregl_fast.data.ffcv_engine.native import decode_jpeg
from vicregl_fast.data.stored_images import StoredImages


class BareDecoding:
    """Decodes stored JPEGs on threads, into buffers that are allocated once.

    Args:
        store: the images, all in one file.
        batch_size: images that the buffers hold at least, as many as an engine's batch.
        workers: number of threads.
    """

    def __init__(self, store: StoredImages, batch_size: int, workers: int):
        (self._mapped,) = store.files
        self._store, self._workers = store, workers
        largest = int((store.heights * store.widths * 3).max())
        # A multiple of the number of threads, so that no two threads use the same buffer.
        self._buffers = np.zeros((-(-batch_size // workers) * workers, largest), np.uint8)

    def decode(self, indices: np.ndarray) -> None:
        """Decodes the images of these samples, int64 [n].

        Raises:
            UserError: an image does not decode.
        """
        store, codes = self._store, np.empty(len(indices), np.int32)
        places = (store.starts[indices], store.sizes[indices], store.heights[indices], store.widths[indices])
        numba.set_num_threads(self._workers)
        _decode_all(self._mapped, *places, self._buffers, codes, self._workers)
        if codes.any():
            raise UserError(f"image {indices[codes != 0][0]} of {store.path} does not decode; convert the store again")


class BareCopying:
    """Copies stored pixels on threads by NumPy, each thread into a buffer of its own.

    Args:
        store: images that are all stored as pixels.
        workers: number of threads.
    """

    def __init__(self, store: StoredImages, workers: int):
        self._store, self._workers = store, workers
        self._buffers = np.zeros((workers, int(store.sizes.max())), np.uint8)

    def copy(self, indices: np.ndarray) -> None:
        """Copies the images of these samples, int64 [n]; thread t takes every ``workers``-th of them from t on."""
        with ThreadPoolExecutor(self._workers) as pool:
            list(pool.map(self._copy, self._buffers, (indices[t :: self._workers] for t in range(self._workers))))

    def _copy(self, buffer: np.ndarray, indices: np.ndarray) -> None:
        for index in indices.tolist():
            pixels = self._store.stored(index)
            np.copyto(buffer[: len(pixels)], pixels)


@numba.njit(parallel=True, nogil=True, cache=True)
def _decode_all(mapped, starts, sizes, heights, widths, buffers, codes, workers):
    """Decodes n images on ``workers`` threads; thread t takes every ``workers``-th image from t on.

    ``mapped`` is the file, uint8 [bytes]. ``starts`` and ``sizes`` (bytes), ``heights`` and ``widths`` (pixels) are
    int64 [n]. Fills ``buffers``, uint8 [buffers, bytes of the largest image], which are used in turn, and ``codes``,
    int32 [n], with libjpeg-turbo's return codes: 0 where an image decoded.
    """
    for worker in numba.prange(workers):
        for k in range(worker, len(starts), workers):
            source = mapped[starts[k] : starts[k] + sizes[k]]
            codes[k] = decode_jpeg(source, buffers[k % len(buffers)], heights[k], widths[k])
