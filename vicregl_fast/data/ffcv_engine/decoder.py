"""The ffcv decoder that writes whole images of any size one behind the other."""

from collections.abc import Callable
from dataclasses import replace

import numba
import numpy as np
from ffcv.fields.rgb_image import IMAGE_MODES, SimpleRGBImageDecoder
from ffcv.libffcv import imdecode, memcpy
from ffcv.pipeline.allocation_query import AllocationQuery
from ffcv.pipeline.state import State


class PackedDecoder(SimpleRGBImageDecoder):
    """Decodes each image of a batch once, at its own size, into one buffer (design, section 7).

    The memory of a batch of b images is ``packed`` uint8 [bytes], ``offsets`` int64 [b], where each image starts, and
    ``codes`` int32 [b], which libjpeg-turbo's return codes fill: 0 where an image decoded whole.
    """

    def declare_state_and_memory(self, previous_state: State) -> tuple[State, tuple[AllocationQuery, ...]]:
        """ffcv's contract: the memory of one sample, at the size of the largest."""
        largest = int(image_bytes(self.metadata).max())
        queries = (
            AllocationQuery((largest,), np.dtype("u1")),
            AllocationQuery((), np.dtype("i8")),
            AllocationQuery((), np.dtype("i4")),
        )
        return replace(previous_state, jit_mode=True, shape=(largest,), dtype=np.dtype("u1")), queries

    def generate_code(self) -> Callable:
        """The function (indices, (packed, offsets, codes), metadata, storage state) that ffcv's contract asks for."""
        read = self.memory_read
        decode_jpeg = numba.njit(nogil=True)(imdecode)
        copy_bytes = numba.njit(nogil=True)(memcpy)
        raw = IMAGE_MODES["raw"]

        def decode(indices, memory, metadata, storage_state):
            packed, offsets, codes = memory
            flat = packed.reshape(-1)
            end = np.int64(0)
            for k in range(len(indices)):
                field = metadata[indices[k]]
                offsets[k] = end
                end += np.int64(field["height"]) * np.int64(field["width"]) * 3
            for k in numba.prange(len(indices)):
                field = metadata[indices[k]]
                height, width = np.uint32(field["height"]), np.uint32(field["width"])
                size = np.int64(height) * np.int64(width) * 3
                target = flat[offsets[k] : offsets[k] + size]
                source = read(field["data_ptr"], storage_state)
                if field["mode"] == raw:
                    codes[k] = 0 if source.size == size else 1
                    if source.size == size:
                        copy_bytes(source, target)
                elif not _has_size(source, height, width):  # libjpeg-turbo would shrink it, or leave the rest as it was
                    codes[k] = 1
                else:
                    codes[k] = decode_jpeg(source, target, height, width, height, width, 0, 0, 1, 1, False, False)
            return packed

        decode.is_parallel = True  # type: ignore[attr-defined]
        return decode


@numba.njit(nogil=True)
def _has_size(jpeg, height, width):
    """Whether a JPEG's frame header says that it is of this size: it is found by going from marker to marker."""
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


def image_bytes(metadata: np.ndarray) -> np.ndarray:
    """Decoded bytes of each image, int64, from ffcv's records of them."""
    return metadata["height"].astype(np.int64) * metadata["width"].astype(np.int64) * 3
