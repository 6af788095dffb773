"""Decodes images of any size into one buffer, one behind the other, in compiled code.

Shape letter: b images of a batch.
"""

import numba
import numpy as np

from vicregl_fast.data.ffcv_engine.native import copy_bytes, decode_jpeg
from vicregl_fast.data.stored_images import StoredImages

ANOTHER_SIZE = 1
"""The code of an image whose size is not the one that the store says."""


def decode_packed(
    store: StoredImages, indices: np.ndarray, packed: np.ndarray, parallel: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Decodes each image of a batch once, at its own size.

    Args:
        store: in one file.
        indices: sample indices, int64 [b].
        packed: filled with the images' pixels, uint8 [bytes].
        parallel: decode on Numba's threads, else on the caller's.

    Returns:
        ``offsets`` int64 [b], the byte at which each image starts, and ``codes`` int32 [b]: 0 where an image decoded
        whole, ``ANOTHER_SIZE``, or libjpeg-turbo's code.
    """
    (mapped,) = store.files
    heights, widths = store.heights[indices], store.widths[indices]
    sizes = heights * widths * 3
    offsets = np.cumsum(sizes) - sizes
    assert sizes.sum() <= packed.size  # libjpeg-turbo would write beyond the end
    codes = np.empty(len(indices), np.int32)
    decode = _on_threads if parallel else _here
    places = (store.starts[indices], store.sizes[indices], store.raw[indices])
    decode(mapped, *places, heights, widths, packed, offsets, codes)
    return offsets, codes


# Two functions, since Numba's cache does not tell one that was compiled in parallel from one that was not.
@numba.njit(parallel=True, nogil=True, cache=True)
def _on_threads(mapped, starts, sizes, raw, heights, widths, packed, offsets, codes):
    for k in numba.prange(len(starts)):
        stored = mapped[starts[k] : starts[k] + sizes[k]]
        codes[k] = _decode(stored, raw[k], heights[k], widths[k], packed[offsets[k] :])


@numba.njit(nogil=True, cache=True)
def _here(mapped, starts, sizes, raw, heights, widths, packed, offsets, codes):
    for k in range(len(starts)):
        stored = mapped[starts[k] : starts[k] + sizes[k]]
        codes[k] = _decode(stored, raw[k], heights[k], widths[k], packed[offsets[k] :])


@numba.njit(nogil=True, cache=True)
def _decode(stored, raw, height, width, target):
    """Fills the beginning of ``target``, uint8 [bytes], with the pixels of stored bytes, uint8 [bytes]: the code."""
    size = height * width * 3
    if raw:
        if stored.size != size:
            return np.int32(ANOTHER_SIZE)
        copy_bytes(stored, target[:size])
        return np.int32(0)
    if not _has_size(stored, height, width):  # libjpeg-turbo would shrink it, or leave the rest as it was
        return np.int32(ANOTHER_SIZE)
    return decode_jpeg(stored, target[:size], height, width)


@numba.njit(nogil=True, cache=True)
def _has_size(jpeg, height, width):
    """Whether the frame header of a JPEG, uint8 [bytes], gives this size in pixels.

    The frame header is found by going from marker to marker.
    """
    place = 2
    while place + 8 < jpeg.size and jpeg[place] == 0xFF:
        marker = jpeg[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # the rest are tables
            lines = (int(jpeg[place + 5]) << 8) | int(jpeg[place + 6])
            columns = (int(jpeg[place + 7]) << 8) | int(jpeg[place + 8])
            return lines == height and columns == width
        if marker == 0xFF:  # a fill byte
            place += 1
        else:
            place += 2 + ((int(jpeg[place + 2]) << 8) | int(jpeg[place + 3]))
    return False
