"""A conversion that cannot fit is refused at once; one that may fit is tried."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.manifest import read_manifest
from dataprep.sources import list_images
from dataprep.webdataset_store import write_shards
from tests.dataprep.pictures import write_jpeg


def images(folder: Path, count: int = 40) -> int:
    """Writes images, and returns their bytes."""
    for index in range(count):
        write_jpeg(folder / f"{index:02d}.jpg", 40, 40 + index, seed=index)
    (folder / "broken.jpg").write_bytes(b"no image")
    return sum(file.stat().st_size for file in folder.iterdir())


@pytest.mark.parametrize("write", [write_store, write_shards])
def test_what_cannot_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write) -> None:
    size = images(tmp_path / "images")
    source, out = list_images(tmp_path / "images"), tmp_path / "new" / "s.beton"
    disk = SimpleNamespace(f_bavail=size // 2, f_frsize=1, f_blocks=1)
    monkeypatch.setattr(os, "statvfs", lambda path: disk)
    with pytest.raises(UserError, match=r"s\.beton will take about .* GiB, and its disk has .* free; free space or"):
        write(source, out, workers=1, on_error="skip")
    assert not out.parent.exists()
    disk.f_bavail = int(size * 0.8)  # it may be enough, as far as some images tell
    assert write(source, out, workers=1, on_error="skip").count == 40
    disk.f_bavail = disk.f_blocks = 0  # a file system that does not say
    write(source, tmp_path / "other.beton", workers=1, on_error="skip")
    assert read_manifest(tmp_path / "other.beton").count == 40
