"""Where each image of a WebDataset store lies, for random access: ``index.npy`` in its folder."""

from pathlib import Path

import numpy as np

from dataprep.errors import UserError
from dataprep.manifest import read_manifest

INDEX = np.dtype(
    [
        ("shard", "<u4"),
        ("offset", "<u8"),  # of the JPEG's bytes within the shard
        ("size", "<u8"),  # of the JPEG in bytes
        ("height", "<u4"),
        ("width", "<u4"),
        ("label", "<i8"),  # -1 without classes
    ]
)
"""A row a sample, in their order."""

INDEX_NAME = "index.npy"


def shard_name(shard: int) -> str:
    return f"shard-{shard:06d}.tar"


def read_index(folder: Path) -> np.ndarray:
    """INDEX [n] of a store written by ``python -m dataprep webdataset``.

    Raises:
        UserError: no such store, an index or a shard that is missing or not as long as the manifest says, an index
            that is damaged or names what lies outside of the shards.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder of shards {folder}; make one with python -m dataprep webdataset")
    manifest = read_manifest(folder)
    if manifest.kind != "webdataset":
        raise UserError(f"{folder} is a store of kind {manifest.kind}, not webdataset; give a folder of shards")
    path = folder / INDEX_NAME
    if not path.is_file():
        raise UserError(f"there is no index {path}; convert the images again")
    manifest.check(folder)
    try:
        index = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UserError(f"the index {path} cannot be read ({error}); convert the images again") from error
    if index.dtype != INDEX or index.shape != (manifest.count,):
        raise UserError(f"{path} is not the index of {manifest.count} images; convert the images again")
    sizes = {file.name: file.size_bytes for file in manifest.files}
    shards = np.array([sizes[name] for name in sorted(sizes) if name.endswith(".tar")], np.uint64)
    if not (index["shard"] < len(shards)).all() or (index["offset"] + index["size"] > shards[index["shard"]]).any():
        raise UserError(f"{path} names images outside of the shards; convert the images again")
    return index
