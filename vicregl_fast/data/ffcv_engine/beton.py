"""Opens ``.beton`` stores for the ffcv engine, and checks them before images are read."""

from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
from ffcv.memory_managers import OSCacheManager
from ffcv.pipeline.operation import Operation
from ffcv.reader import Reader

from dataprep.beton import stored_sizes
from dataprep.errors import UserError
from dataprep.manifest import read_manifest
from vicregl_fast.augment.decoded_batch import known_labels
from vicregl_fast.data.store import MAKE_ONE, no_store


@dataclass(frozen=True)
class Beton:
    """An opened store of n images.

    Attributes:
        path: of the file.
        heights, widths: int64 [n], pixels.
        labels: int64 [n], or None where the store has none.
        classes: the names of the classes, or None.
        image_field: name of the field of images.
        reader: ffcv's reader, which holds the tables of the file.
        memory: ffcv's manager of the file's memory map.
    """

    path: Path
    heights: np.ndarray
    widths: np.ndarray
    labels: np.ndarray | None
    classes: tuple[str, ...] | None
    image_field: str
    reader: Reader
    memory: OSCacheManager

    def __len__(self) -> int:
        return len(self.heights)

    @property
    def image_metadata(self) -> np.ndarray:
        """ffcv's record of every image, a structured array [n]: mode, width, height and address (``data_ptr``)."""
        return self.reader.metadata[f"f{self.reader.field_names.index(self.image_field)}"]

    def attach(self, operation: Operation) -> Operation:
        """Gives an ffcv decoder this store's field, metadata and reading function, and returns it."""
        operation.accept_field(self.reader.handlers[self.image_field])
        operation.accept_globals(self.image_metadata, _read)
        return operation


def open_beton(path: Path) -> Beton:
    """Opens a store and checks it against its manifest.

    Raises:
        UserError: there is no such file, it is not a store or one of another version, it is cut short or damaged, or
            it does not fit its manifest.
    """
    if not path.is_file():
        raise no_store(path)
    manifest = read_manifest(path)
    manifest.check(path)
    try:
        reader = Reader(str(path))
    except (AssertionError, ValueError, IndexError, KeyError) as error:
        raise UserError(f"{path} is not a store that ffcv 1.0 can read ({error}); {MAKE_ONE}") from error
    names = [name for name in (manifest.image_field, manifest.label_field) if name is not None]
    if not set(names) <= set(reader.field_names):
        raise UserError(f"{path} has the fields {reader.field_names}, not {' and '.join(names)}; {MAKE_ONE}")
    if len(reader.metadata) != reader.num_samples or not len(reader.alloc_table):
        raise UserError(f"{path} is cut short: it announces {reader.num_samples} images; convert it again")
    fields = {name: reader.metadata[f"f{k}"] for k, name in enumerate(reader.field_names)}
    images = fields[manifest.image_field]
    stored_sizes(path, images["data_ptr"], reader.alloc_table)  # raises where the tables contradict each other
    # Fields of other kinds may hold nothing at the address at which an image begins.
    reader.alloc_table = reader.alloc_table[reader.alloc_table["size"] > 0]
    labels = None if manifest.label_field is None else fields[manifest.label_field].astype(np.int64).reshape(-1)
    return Beton(
        path,
        images["height"].astype(np.int64),
        images["width"].astype(np.int64),
        None if labels is None else known_labels(labels),
        manifest.classes,
        manifest.image_field,
        reader,
        OSCacheManager(reader),
    )


@numba.njit(nogil=True)
def _read(address, state):  # the signature that ffcv asks of a reading function
    """The bytes of the image that begins at ``address`` (uint64), a view uint8 [bytes] into the memory map.

    ``state`` is the memory map, uint8 [bytes], with the addresses of all images, ascending, and their sizes in bytes,
    both uint64 [n]. This stands in place of ffcv's own function, since compiling that one marks Numba's shared array
    types as read-only, which breaks what was compiled with them before.
    """
    mapped, addresses, sizes = state
    return mapped[address : address + sizes[np.searchsorted(addresses, address)]]
