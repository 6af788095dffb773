"""WebDataset shards: a folder of ``shard-000000.tar`` and so on, with an index of the JPEGs within."""

from pathlib import Path

import numpy as np

from dataprep.errors import UserError
from dataprep.manifest import read_manifest
from vicregl_fast.data.jpegs import JpegStore, map_file

INDEX = "index.npy"
FIELDS = ("shard", "offset", "size", "height", "width", "label")
CONVERT = "make the shards again with: python -m dataprep webdataset FOLDER SHARDS"


def open_shards(folder: Path) -> JpegStore:
    """Opens the shards of a folder, each mapped into memory, and checks the index against them.

    Raises:
        UserError: no index, one that is damaged, or a shard that is missing or shorter than the index says.
    """
    index = _read_index(folder / INDEX)
    last = np.zeros(int(index["shard"].max()) + 1, np.int64)
    np.maximum.at(last, index["shard"], (index["offset"] + index["size"]).astype(np.int64))
    labels = index["label"].astype(np.int64)
    return JpegStore(
        folder,
        index["height"].astype(np.int64),
        index["width"].astype(np.int64),
        None if (labels < 0).any() else labels,
        read_manifest(folder / "manifest").classes,
        tuple(_map_shard(folder / f"shard-{number:06d}.tar", end) for number, end in enumerate(last.tolist())),
        index["shard"].astype(np.int64),
        index["offset"].astype(np.int64),
        index["size"].astype(np.int64),
    )


def _read_index(path: Path) -> np.ndarray:
    try:
        index = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"the index {path} cannot be read ({error}); {CONVERT}") from error
    if not len(index) or index.dtype.names is None or not set(FIELDS) <= set(index.dtype.names):
        raise UserError(f"{path} is not an index of shards, with the fields {', '.join(FIELDS)}; {CONVERT}")
    return index


def _map_shard(path: Path, end: int) -> np.ndarray:
    if not path.is_file():
        raise UserError(f"the shard {path} is missing; {CONVERT}")
    if path.stat().st_size < end:
        raise UserError(f"the shard {path} has {path.stat().st_size} bytes where its index needs {end}; {CONVERT}")
    return map_file(path)
