"""An ffcv decoder that packs whole images of any size into one buffer."""

from collections.abc import Callable
from dataclasses import replace

import numba
import numpy as np
from ffcv.fields.rgb_image import IMAGE_MODES, SimpleRGBImageDecoder
from ffcv.libffcv import imdecode, memcpy
from ffcv.pipeline.allocation_query import AllocationQuery
from ffcv.pipeline.state import State


class PackedDecoder(SimpleRGBImageDecoder):
    """Decodes each image of a batch once, at its own size, into one buffer.

    A batch of b images fills three arrays: ``packed`` uint8 [bytes], the images one behind the other; ``offsets`` int64
    [b], the byte at which each image starts; ``codes`` int32 [b], 0 where an image decoded whole, 1 where it has
    another size than the store says, else libjpeg-turbo's return code.
    """

    def declare_state_and_memory(self, previous_state: State) -> tuple[State, tuple[AllocationQuery, ...]]:
        """The memory that ffcv's ``Loader`` would allocate for each sample: enough for the largest image."""
        largest = int(image_bytes(self.metadata).max())
        queries = (
            AllocationQuery((largest,), np.dtype("u1")),
            AllocationQuery((), np.dtype("i8")),
            AllocationQuery((), np.dtype("i4")),
        )
        return replace(previous_state, jit_mode=True, shape=(largest,), dtype=np.dtype("u1")), queries

    def generate_code(self) -> Callable:
        """The function that ffcv asks of a decoder, to be compiled by Numba.

        Its arguments are the sample indices, int64 [b]; (packed, offsets, codes), which it fills; the metadata, a
        structured array [n]; and the storage state, as ``beton._read`` takes it. It returns ``packed``.
        """
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
    """Whether the frame header of a JPEG, uint8 [bytes], gives this size in pixels (uint32 each).

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


def image_bytes(metadata: np.ndarray) -> np.ndarray:
    """Bytes of each decoded image, int64 [n], from ffcv's records of n images."""
    return metadata["height"].astype(np.int64) * metadata["width"].astype(np.int64) * 3
