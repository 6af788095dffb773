"""WebDataset shards as the engine sees them, each mapped into memory."""

from pathlib import Path

import numpy as np

from dataprep.manifest import read_manifest
from dataprep.shard_index import read_index, shard_name
from vicregl_fast.data.jpegs import JpegStore, map_file


def open_shards(folder: Path) -> JpegStore:
    """Opens a store that ``python -m dataprep webdataset`` made.

    Raises:
        UserError: what ``read_index`` raises.
    """
    index = read_index(folder)
    labels = index["label"].astype(np.int64)
    return JpegStore(
        folder,
        index["height"].astype(np.int64),
        index["width"].astype(np.int64),
        None if (labels < 0).any() else labels,
        read_manifest(folder).classes,
        tuple(map_file(folder / shard_name(number)) for number in range(int(index["shard"].max()) + 1)),
        index["shard"].astype(np.int64),
        index["offset"].astype(np.int64),
        index["size"].astype(np.int64),
    )
