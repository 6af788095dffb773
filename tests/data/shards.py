"""A folder of WebDataset shards, made with tarfile."""

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from dataprep.manifest import Manifest, StoreOptions
from dataprep.sources import ImageSource

INDEX = np.dtype(
    [("shard", "<u4"), ("offset", "<u8"), ("size", "<u8"), ("height", "<u4"), ("width", "<u4"), ("label", "<i8")]
)


def write_shards(source: ImageSource, folder: Path, each: int) -> None:
    """Writes the source's JPEGs as they are, ``each`` to a shard, with their index and manifest."""
    folder.mkdir()
    index = np.zeros(len(source), INDEX)
    for first in range(0, len(source), each):
        number = first // each
        with tarfile.open(folder / f"shard-{number:06d}.tar", "w") as shard:
            for k in range(first, min(first + each, len(source))):
                data = (source.root / source.files[k]).read_bytes()
                member = tarfile.TarInfo(f"{k:08d}.jpg")
                member.size = len(data)
                start = shard.offset + tarfile.BLOCKSIZE  # behind the header
                shard.addfile(member, io.BytesIO(data))
                with Image.open(io.BytesIO(data)) as image:
                    label = -1 if source.labels is None else source.labels[k]
                    index[k] = (number, start, len(data), image.height, image.width, label)
    np.save(folder / "index.npy", index)
    options = StoreOptions(500, 90, "fail")
    count = len(source)
    Manifest("webdataset", count, count, source.classes, None, str(source.root), None, options, (), 0, "").write(
        folder / "manifest.json"
    )
