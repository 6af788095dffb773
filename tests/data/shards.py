"""Folders of small WebDataset shards."""

from pathlib import Path
from unittest import mock

from dataprep.shards import ShardWriter
from dataprep.sources import ImageSource
from dataprep.webdataset_store import write_shards


def write_small_shards(source: ImageSource, folder: Path, shards: int) -> None:
    """Converts as ``dataprep webdataset`` does, but into so many shards."""
    size = sum(-(-(source.root / file).stat().st_size // 512) * 512 + 2048 for file in source.files)
    share = size // shards + 12_000  # tarfile fills the last record of a shard
    with mock.patch("dataprep.webdataset_store.ShardWriter", lambda to, limit: ShardWriter(to, share)):
        write_shards(source, folder, workers=1)
    assert len(list(folder.glob("*.tar"))) == shards
