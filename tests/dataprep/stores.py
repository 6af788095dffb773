"""Both kinds of store, written and read in the same way, so that a test can be of both."""

import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataprep.ffcv_store import write_store
from dataprep.manifest import Manifest
from dataprep.shard_index import shard_name
from dataprep.webdataset_store import write_shards

StoredSample = tuple[bytes, tuple[int, int], int]


@dataclass(frozen=True)
class Kind:
    """A kind of store: its command, a name for one, how it is written and read back by other code than ours."""

    command: str
    name: str
    write: Callable[..., Manifest]
    read: Callable[[Path], Iterator[StoredSample]]

    def __str__(self) -> str:
        return self.command


def read_beton(store: Path) -> Iterator[StoredSample]:
    """(JPEG bytes, (height, width), label) of every sample, by FFCV's Reader."""
    from ffcv.reader import Reader

    reader = Reader(str(store))
    assert reader.field_names == ["image", "label"]
    assert reader.field_descriptors["type_id"].tolist() == [2, 1]
    sizes = dict(zip(reader.alloc_table["ptr"].tolist(), reader.alloc_table["size"].tolist(), strict=True))
    content = store.read_bytes()
    for image, label in reader.metadata:
        start = int(image["data_ptr"])
        data = content[start : start + sizes[start]]
        yield data, (int(image["height"]), int(image["width"])), int(label)


def read_shards(store: Path) -> Iterator[StoredSample]:
    """The same, from the members of the shards by their names; sizes from the index."""
    index = np.load(store / "index.npy")
    members: dict[str, bytes] = {}
    for shard in range(len(list(store.glob("*.tar")))):
        with tarfile.open(store / shard_name(shard)) as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None and member.name not in members
                members[member.name] = file.read()
    for number, row in enumerate(index):
        label = members.pop(f"{number:09d}.cls", b"-1")
        yield members.pop(f"{number:09d}.jpg"), (int(row["height"]), int(row["width"])), int(label)
    assert not members


KINDS = (
    Kind("ffcv", "s.beton", write_store, read_beton),
    Kind("webdataset", "s", write_shards, read_shards),
)
