"""Reads and writes the ``.beton`` format without importing FFCV: the bytes are those of FFCV's own DatasetWriter.

Importing FFCV takes seconds (``libffcv``), and its writer polls for ever when one of its processes dies. A file holds,
in this order: a header; a description of each field; one row for each sample; pages of image bytes, the first at the
next multiple of the page size, where no image crosses from one page to the next; a table of where each image lies.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from dataprep.errors import UserError
from dataprep.images import StoredImage
from dataprep.manifest import JPEG_MODE, RAW_MODE, UNLABELLED

VERSION = 2
INT_FIELD, RGB_IMAGE_FIELD = 1, 2  # FFCV's type ids of fields
KINDS = ("float", "int", "RGB image", "bytes", "array", "JSON", "tensor")
"""What FFCV's fields hold, by type id."""

HEADER = np.dtype(
    [("version", "<u2"), ("num_fields", "<u2"), ("page_size", "<u4"), ("num_samples", "<u8"), ("alloc_table", "<u8")]
)
FIELD = np.dtype([("type", "u1"), ("name", "S16"), ("arguments", "u1", 1024)])
IMAGE = np.dtype([("mode", "u1"), ("width", "<u2"), ("height", "<u2"), ("data_ptr", "<u8")])
ROW = np.dtype([("image", IMAGE), ("label", "<i8")], align=True)
PLACE = np.dtype([("ptr", "<u8"), ("size", "<u8")])
CELLS = (np.dtype("<f8"), np.dtype("<i8"), IMAGE, PLACE, np.dtype("<u8"), PLACE, np.dtype("<u8"))
"""What a row holds of a field, by type id."""
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


class Tables(NamedTuple):
    """What a store says of its n images, in the order of the samples.

    Attributes:
        images: IMAGE [n].
        labels: int64 [n]; UNLABELLED for all where no field was named.
        sizes: how many bytes each image takes, int64 [n].
    """

    images: np.ndarray
    labels: np.ndarray
    sizes: np.ndarray


def read_fields(path: Path) -> dict[str, int]:
    """The fields of a store: FFCV's type id of each name, in their order.

    Raises:
        UserError: the store has another version, or is cut short.
    """
    with path.open("rb") as file:
        return _fields(file, _header(file, path), path)


def read_beton(path: Path, image_field: str = "image", label_field: str | None = "label") -> Tables:
    """Reads the tables of a store.

    Args:
        path: of the store.
        image_field: name of the field of images.
        label_field: name of the field of labels; None for no labels.

    Raises:
        UserError: the store has another version or other fields, holds no images, or its tables are damaged.
    """
    with path.open("rb") as file:
        header = _header(file, path)
        fields = _fields(file, header, path)
        names = [image_field] if label_field is None else [image_field, label_field]
        types = [fields.get(name) for name in names]
        if types != [RGB_IMAGE_FIELD, INT_FIELD][: len(names)] or max(fields.values()) >= len(CELLS):
            raise UserError(f"{path} has other fields than {' and '.join(names)}; convert the images again")
        row = np.dtype([(name, CELLS[fields[name]]) for name in fields], align=True)
        rows = _read(file, row, int(header["num_samples"]), path)
        allocations = _allocations(file, int(header["alloc_table"]), len(rows), path)
    labels = np.full(len(rows), UNLABELLED) if label_field is None else rows[label_field]
    return Tables(rows[image_field], labels, _stored_sizes(path, rows[image_field]["data_ptr"], allocations))


def _stored_sizes(path: Path, addresses: np.ndarray, allocations: np.ndarray) -> np.ndarray:
    """Looks up how many bytes of the file each image takes, int64 [n].

    Args:
        path: of the store.
        addresses: where the images begin, in bytes from the start of the file, uint64 [n].
        allocations: ALLOCATION, in any order; other fields have some, too.

    Raises:
        UserError: an image begins where no allocation does, or ends beyond the end of the file.
    """
    order = np.lexsort((allocations["size"], allocations["ptr"]))  # what is empty begins where the next one does
    starts = allocations["ptr"][order]
    found = np.maximum(np.searchsorted(starts, addresses, "right") - 1, 0)
    sizes = allocations["size"][order[found]].astype(np.int64)
    if (starts[found] != addresses).any() or (addresses.astype(np.int64) + sizes > path.stat().st_size).any():
        raise UserError(f"the tables of {path} contradict each other; convert the images again")
    return sizes


def _header(file: BinaryIO, path: Path) -> np.void:
    header = _read(file, HEADER, 1, path)[0]
    if header["version"] != VERSION:
        raise UserError(
            f"{path} is no FFCV store of version {VERSION} (its header says {header['version']}); "
            "convert the images again"
        )
    return header


def _fields(file: BinaryIO, header: np.void, path: Path) -> dict[str, int]:
    fields = _read(file, FIELD, int(header["num_fields"]), path)
    names = [name.decode("ascii", "replace") for name in fields["name"].tolist()]
    if not names or len(set(names)) < len(names):
        raise UserError(f"{path} has no fields, or several of one name; convert the images again")
    return dict(zip(names, fields["type"].tolist(), strict=True))


def _allocations(file: BinaryIO, start: int, images: int, path: Path) -> np.ndarray:
    """The table at ``start``, which goes on to the end of the file."""
    if not images:
        raise UserError(f"{path} holds no images; convert them again")
    end = os.fstat(file.fileno()).st_size
    if not file.tell() <= start <= end:
        raise UserError(f"{path} was not written to its end, or is cut short; convert the images again")
    file.seek(start)
    return _read(file, ALLOCATION, max(images, (end - start) // ALLOCATION.itemsize), path)


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
