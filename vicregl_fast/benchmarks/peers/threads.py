"""Decoding on a pool of threads, for libraries that decode one image a call and release Python's lock meanwhile."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from torch import Tensor


class DecodingThreads:
    """Applies a decoder to batches.

    Args:
        decode: bytes of an image to its pixels, uint8 [3, H, W].
        workers: number of threads, which live as long as this object.
    """

    def __init__(self, decode: Callable[[bytes], Tensor], workers: int):
        self._decode, self._pool = decode, ThreadPoolExecutor(workers)

    def batches(self, jpegs: Sequence[Sequence[bytes]]) -> Iterator[list[Tensor]]:
        """The decoded images of each batch."""
        for batch in jpegs:
            yield list(self._pool.map(self._decode, batch))

    def decode(self, jpegs: Sequence[Sequence[bytes]]) -> int:
        """Decodes all batches, and returns the number of images."""
        return sum(map(len, self.batches(jpegs)))
