"""Where the images of a store lie, whatever its kind."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataprep.beton import read_beton
from dataprep.errors import UserError
from dataprep.manifest import RAW_MODE, Manifest
from dataprep.shard_index import INDEX, read_index, shard_name

STORED = np.dtype([("number", "<u8"), *((name, INDEX[name]) for name in INDEX.names or ()), ("raw", "?")])
"""An image: its number in the store, which of the files it lies in, where, and what it should be."""


@dataclass(frozen=True)
class StoredSamples:
    """The images of a store: STORED [n], in their order, and the files that the column ``shard`` counts."""

    table: np.ndarray
    files: tuple[Path, ...]

    def name(self, sample: np.void) -> str:
        return f"image {sample['number']} of {self.files[sample['shard']]}"


def list_samples(store: Path, manifest: Manifest) -> StoredSamples:
    """Finds the images of a store that has the sizes of its manifest.

    Raises:
        UserError: it is of an unknown kind, or its tables are damaged.
    """
    if manifest.kind == "webdataset":
        index = read_index(store)
        files = tuple(store / shard_name(shard) for shard in range(int(index["shard"].max(initial=0)) + 1))
        return StoredSamples(_table(**{name: index[name] for name in INDEX.names or ()}), files)
    if manifest.kind != "ffcv":
        raise UserError(f"{store} is a store of the unknown kind {manifest.kind}; convert the images again")
    rows, sizes = read_beton(store)
    images = rows["image"]
    columns = {"offset": images["data_ptr"], "size": sizes, "label": rows["label"]}
    columns |= {"height": images["height"], "width": images["width"], "raw": images["mode"] == RAW_MODE}
    return StoredSamples(_table(**columns), (store,))


def read_bytes(sample: np.void, files: tuple[Path, ...]) -> bytes:
    """The JPEG or the pixels of one image."""
    with files[sample["shard"]].open("rb") as file:
        file.seek(int(sample["offset"]))
        return file.read(int(sample["size"]))


def _table(**columns: np.ndarray) -> np.ndarray:
    table = np.zeros(len(columns["label"]), STORED)
    table["number"] = np.arange(len(table))
    for name, column in columns.items():
        table[name] = column
    return table
