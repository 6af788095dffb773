"""Reads and writes the ``.beton`` format without importing FFCV: the bytes are those of FFCV's own DatasetWriter.

Importing FFCV takes ten seconds (it imports torch, and compiles with Numba), and FFCV's writer polls for ever when one
of its processes dies. A file holds, in this order: a header; a description of each field; one row for each sample;
pages of image bytes, the first at the next multiple of the page size, where no image crosses from one page to the next;
a table of where each image lies.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dataprep.errors import UserError
from dataprep.images import StoredImage
from dataprep.manifest import JPEG_MODE, RAW_MODE

VERSION = 2
INT_FIELD, RGB_IMAGE_FIELD = 1, 2  # FFCV's type ids of fields

HEADER = np.dtype(
    [("version", "<u2"), ("num_fields", "<u2"), ("page_size", "<u4"), ("num_samples", "<u8"), ("alloc_table", "<u8")]
)
FIELD = np.dtype([("type", "u1"), ("name", "S16"), ("arguments", "u1", 1024)])
IMAGE = np.dtype([("mode", "u1"), ("width", "<u2"), ("height", "<u2"), ("data_ptr", "<u8")])
ROW = np.dtype([("image", IMAGE), ("label", "<i8")], align=True)
ALLOCATION = np.dtype([("sample", "<u8"), ("ptr", "<u8"), ("size", "<u8")])
FIELDS = np.array([(RGB_IMAGE_FIELD, b"image", 0), (INT_FIELD, b"label", 0)], FIELD)
ROWS_START = HEADER.itemsize + FIELDS.nbytes


def write_beton(path: Path, samples: Iterable[tuple[StoredImage, int]], capacity: int, page_size: int) -> int:
    """Writes images with their labels to a store.

    Args:
        path: of the store.
        samples: images, none larger than a page, and their labels (-1 without classes).
        capacity: the largest number of images; if there are fewer, zeros fill the remaining rows.
        page_size: in bytes.

    Returns:
        How many images were written.

    Raises:
        OSError: the disk is full, or the file cannot be written.
    """
    rows = np.zeros(capacity, ROW)
    allocations = np.zeros(capacity, ALLOCATION)
    count = 0
    with path.open("wb") as file:
        end = _page_end(ROWS_START + rows.nbytes, page_size)
        file.seek(end)
        for image, label in samples:
            if file.tell() + len(image.data) > end:
                end = _turn_page(file, end, page_size)
            mode = RAW_MODE if image.raw else JPEG_MODE
            rows[count] = ((mode, image.width, image.height, file.tell()), label)
            allocations[count] = (count, file.tell(), len(image.data))
            file.write(image.data)
            count += 1
        _fill(file, end)
        file.write(allocations[:count].tobytes())
        file.seek(0)
        file.write(np.array((VERSION, len(FIELDS), page_size, count, end), HEADER).tobytes())
        file.write(FIELDS.tobytes() + rows.tobytes())
    return count


def read_beton(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads the tables of a store.

    Returns:
        ROW [n] in the order of the samples, and how many bytes each image takes, int64 [n].

    Raises:
        UserError: the store has another version or other fields, or its tables are damaged.
    """
    with path.open("rb") as file:
        header = _read(file, HEADER, 1, path)[0]
        if header["version"] != VERSION:
            raise UserError(
                f"{path} is no FFCV store of version {VERSION} (its header says {header['version']}); "
                "convert the images again"
            )
        fields = _read(file, FIELD, len(FIELDS), path)
        if header["num_fields"] != len(FIELDS) or fields.tobytes() != FIELDS.tobytes():
            raise UserError(f"{path} has other fields than image and label; convert the images again")
        rows = _read(file, ROW, int(header["num_samples"]), path)
        file.seek(int(header["alloc_table"]))
        allocations = _read(file, ALLOCATION, len(rows), path)
    return rows, stored_sizes(path, rows["image"]["data_ptr"], allocations)


def stored_sizes(path: Path, addresses: np.ndarray, allocations: np.ndarray) -> np.ndarray:
    """Looks up how many bytes of the file each image takes, int64 [n].

    Args:
        path: of the store.
        addresses: where the images begin, in bytes from the start of the file, uint64 [n].
        allocations: ALLOCATION [n], in any order.

    Raises:
        UserError: an image begins where no allocation does, or ends beyond the end of the file.
    """
    order = np.argsort(allocations["ptr"])
    starts = allocations["ptr"][order]
    found = np.minimum(np.searchsorted(starts, addresses), len(starts) - 1)
    sizes = allocations["size"][order[found]].astype(np.int64)
    if (starts[found] != addresses).any() or (addresses.astype(np.int64) + sizes > path.stat().st_size).any():
        raise UserError(f"the tables of {path} contradict each other; convert the images again")
    return sizes


def _page_end(position: int, page_size: int) -> int:
    return -(-position // page_size) * page_size


def _turn_page(file: BinaryIO, end: int, page_size: int) -> int:
    _fill(file, end)
    return end + page_size


def _fill(file: BinaryIO, end: int) -> None:
    file.write(bytes(end - file.tell()))


def _read(file: BinaryIO, dtype: np.dtype, count: int, path: Path) -> np.ndarray:
    size = count * dtype.itemsize
    if size > os.fstat(file.fileno()).st_size - file.tell():
        raise UserError(f"{path} is cut short: it announces more images than it holds; convert the images again")
    return np.frombuffer(file.read(size), dtype)
