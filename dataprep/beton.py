"""FFCV's DatasetWriter, writing ready JPEG bytes from one process."""

import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from ffcv.fields import IntField, RGBImageField
from ffcv.memory_allocator import MemoryAllocator
from ffcv.writer import DatasetWriter, handle_sample

from dataprep.images import StoredJpeg
from dataprep.manifest import JPEG_MODE

Malloc = Callable[[int], tuple[int, np.ndarray]]


class _ReadyJpeg:
    """Encodes for an RGBImageField what is a JPEG already."""

    def encode(self, destination: np.ndarray, image: StoredJpeg, malloc: Malloc) -> None:
        destination["mode"] = JPEG_MODE
        destination["height"] = image.height
        destination["width"] = image.width
        destination["data_ptr"], storage = malloc(len(image.data))
        storage[:] = np.frombuffer(image.data, np.uint8)


class BetonWriter(DatasetWriter):
    """Writes fields ``image`` (RGBImageField, all JPEG) and ``label`` (IntField), for FFCV's own reader.

    FFCV's ``from_indexed_dataset`` polls for ever when one of its processes dies; here there is none.
    """

    metadata_sm: Any  # all that FFCV reads of it at the end is ``buf``

    def __init__(self, path: Path, capacity: int, page_size: int) -> None:
        super().__init__(str(path), {"image": RGBImageField(), "label": IntField()}, page_size=page_size)
        self.num_samples = capacity

    def write(self, samples: Iterable[tuple[StoredJpeg, int]]) -> int:
        """Writes up to ``capacity`` images with labels, and returns how many there were.

        The rows of the images that did not come lie unused between the last row and the first page.

        Raises:
            OSError: the disk is full, or the file cannot be written.
        """
        metadata = self._prepare_privately()
        encoders = {"image": _ReadyJpeg(), "label": IntField()}
        allocator = MemoryAllocator(self.fname, self.data_region_start, self.page_size)
        count = 0
        with allocator:
            for count, sample in enumerate(samples, start=1):
                handle_sample(sample, count - 1, metadata.dtype.names, metadata, allocator, encoders)
        self._check_pages(allocator)
        self.header["num_samples"] = count
        self.finalize([allocator.allocations])
        return count

    def _prepare_privately(self) -> np.ndarray:
        """FFCV's preparation without shared memory, which is small in containers and outlives a kill."""
        self.prepare()
        self.metadata_sm.close()
        self.metadata_sm.unlink()
        metadata = np.zeros(self.num_samples, self.metadata_type)
        self.metadata_sm = SimpleNamespace(buf=metadata.view(np.uint8).data)
        return metadata

    def _check_pages(self, allocator: MemoryAllocator) -> None:
        """The allocator does not look at how much of a page the system took."""
        expected = allocator.offset + allocator.next_page_written.value * self.page_size
        if os.path.getsize(self.fname) != expected and allocator.allocations:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
