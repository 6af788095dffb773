"""Lists where the images of a store lie, for every kind of store."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataprep.beton import read_beton
from dataprep.errors import UserError
from dataprep.manifest import RAW_MODE, Manifest
from dataprep.shard_index import INDEX, read_index, shard_names

STORED = np.dtype([("number", "<u8"), *((name, INDEX[name]) for name in INDEX.names or ()), ("raw", "?")])
"""An image: its number in the store, the columns of INDEX, and whether it is stored as pixels."""


@dataclass(frozen=True)
class StoredSamples:
    """The images of a store.

    Attributes:
        table: STORED [n], in the order of the images.
        files: those that the column ``shard`` counts from 0; of a ``.beton`` store, the store alone.
    """

    table: np.ndarray
    files: tuple[Path, ...]

    def name(self, sample: np.void) -> str:
        """What error messages call an image (STORED)."""
        return f"image {sample['number']} of {self.files[sample['shard']]}"


def list_samples(store: Path, manifest: Manifest) -> StoredSamples:
    """Lists the images of a store. Its files must have the sizes in the manifest (``Manifest.check``).

    Raises:
        UserError: the store is of an unknown kind, or its tables are damaged.
    """
    if manifest.kind == "webdataset":
        index = read_index(store)
        files = tuple(store / name for name in shard_names(manifest))
        return StoredSamples(table_of(**{name: index[name] for name in INDEX.names or ()}), files)
    if manifest.kind != "ffcv":
        raise UserError(f"{store} is a store of the unknown kind {manifest.kind}; convert the images again")
    return beton_samples(store, manifest.image_field, manifest.label_field)


def beton_samples(store: Path, image_field: str, label_field: str | None) -> StoredSamples:
    """Lists the images of a ``.beton`` store whose fields have these names, the second None for no labels.

    Raises:
        UserError: ``read_beton`` raises it.
    """
    images, labels, sizes = read_beton(store, image_field, label_field)
    columns = {"offset": images["data_ptr"], "size": sizes, "label": labels}
    columns |= {"height": images["height"], "width": images["width"], "raw": images["mode"] == RAW_MODE}
    return StoredSamples(table_of(**columns), (store,))


def read_bytes(sample: np.void, files: tuple[Path, ...]) -> bytes:
    """The stored bytes of one image (STORED): a JPEG, or its pixels."""
    with files[sample["shard"]].open("rb") as file:
        file.seek(int(sample["offset"]))
        return file.read(int(sample["size"]))


def table_of(**columns: np.ndarray) -> np.ndarray:
    """STORED [n] of these columns, one of which is ``label``; the images are numbered, and other columns are 0."""
    table = np.zeros(len(columns["label"]), STORED)
    table["number"] = np.arange(len(table))
    for name, column in columns.items():
        table[name] = column
    return table
