"""The yardstick for engines: libjpeg-turbo and nothing else."""

import numba
import numpy as np
from ffcv.libffcv import imdecode

from dataprep.errors import UserError
from vicregl_fast.data.stored_images import StoredImages

_decode_jpeg = numba.njit(nogil=True)(imdecode)


class BareDecoding:
    """Decodes stored JPEGs on threads, into buffers that exist already.

    Args:
        store: whose bytes to decode, of one file.
        batch_size: how many images the buffers hold, as an engine's would.
        workers: threads.
    """

    def __init__(self, store: StoredImages, batch_size: int, workers: int):
        (self._mapped,) = store.files
        self._store, self._workers = store, workers
        largest = int((store.heights * store.widths * 3).max())
        # As many a thread, so that no two threads meet at one buffer.
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


@numba.njit(parallel=True, nogil=True)
def _decode_all(mapped, starts, sizes, heights, widths, buffers, codes, workers):
    for worker in numba.prange(workers):
        for k in range(worker, len(starts), workers):
            height, width = np.uint32(heights[k]), np.uint32(widths[k])
            source = mapped[starts[k] : starts[k] + sizes[k]]
            target = buffers[k % len(buffers)]
            codes[k] = _decode_jpeg(source, target, height, width, height, width, 0, 0, 1, 1, False, False)
