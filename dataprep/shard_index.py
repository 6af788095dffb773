"""The index of a WebDataset store, ``index.npy`` in its folder: where each image lies, for random access."""

from pathlib import Path

import numpy as np

from dataprep.errors import UserError
from dataprep.manifest import Manifest, adopt_hint, read_manifest

INDEX = np.dtype(
    [
        ("shard", "<u4"),
        ("offset", "<u8"),  # of the JPEG from the start of the shard, in bytes
        ("size", "<u8"),  # of the JPEG in bytes
        ("height", "<u4"),
        ("width", "<u4"),
        ("label", "<i8"),  # -1 without classes
    ]
)
"""One row of the index; there is one for each sample, in the order of the samples."""

INDEX_NAME = "index.npy"


def shard_name(shard: int) -> str:
    """File name of a shard, counted from 0."""
    return f"shard-{shard:06d}.tar"


def sample_key(number: int) -> str:
    """What the members of a sample, counted from 0, are called before their endings, as this program writes them."""
    return f"{number:09d}"


def is_shard(name: str) -> bool:
    """Whether a file of this name is a shard."""
    return name.lower().endswith(".tar")


def shard_names(manifest: Manifest) -> list[str]:
    """The shards of a store, in the order that the column ``shard`` counts: paths within its folder."""
    return sorted(file.name for file in manifest.files if is_shard(file.name))


def read_index(folder: Path) -> np.ndarray:
    """Reads the index, INDEX [n], of a store that ``python -m dataprep`` wrote (``webdataset``) or adopted (``adopt``).

    Raises:
        UserError: there is no such store; a file is missing or has another size than the manifest says; or the index is
            damaged or points outside of the shards.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder of shards {folder}; make one with python -m dataprep webdataset")
    manifest = read_manifest(folder)
    if manifest.kind != "webdataset":
        raise UserError(f"{folder} is a store of kind {manifest.kind}, not webdataset; give a folder of shards")
    path = folder / INDEX_NAME
    if not path.is_file():
        raise UserError(f"there is no index {path}; {adopt_hint(folder)}")
    manifest.check(folder)
    try:
        index = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UserError(f"the index {path} cannot be read ({error}); convert the images again") from error
    if index.dtype != INDEX or index.shape != (manifest.count,):
        raise UserError(f"{path} is not the index of {manifest.count} images; convert the images again")
    sizes = {file.name: file.size_bytes for file in manifest.files}
    shards = np.array([sizes[name] for name in shard_names(manifest)], np.uint64)
    if not (index["shard"] < len(shards)).all() or (index["offset"] + index["size"] > shards[index["shard"]]).any():
        raise UserError(f"{path} names images outside of the shards; convert the images again")
    return index
