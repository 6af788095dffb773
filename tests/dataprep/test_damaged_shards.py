"""Shards that cannot be read are refused, and nothing is written beside them."""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from dataprep.adopt import adopt_store
from dataprep.errors import UserError
from tests.dataprep.foreign_stores import contents, sample, shards_of


def zipped(folder: Path) -> None:
    (folder / "1.tar").write_bytes(gzip.compress((folder / "0.tar").read_bytes()))


def zipped_name(folder: Path) -> None:
    shutil.move(folder / "0.tar", folder / "0.tar.gz")


def cut(folder: Path) -> None:
    (folder / "0.tar").write_bytes((folder / "0.tar").read_bytes()[:1500])


def bad_header(folder: Path) -> None:
    content = bytearray((folder / "0.tar").read_bytes())
    place = content.index(b"1001.jpg")
    content[place : place + 4] = b"\xff\xff\xff\xff"
    (folder / "0.tar").write_bytes(content)


def one_behind_another(folder: Path) -> None:
    (folder / "0.tar").write_bytes(2 * (folder / "0.tar").read_bytes())


def no_tar(folder: Path) -> None:
    (folder / "1.tar").write_bytes(b"text" * 1000)


def empty(folder: Path) -> None:
    (folder / "1.tar").touch()


def other_index(folder: Path) -> None:
    np.save(folder / "index.npy", np.arange(3))


def other_file(folder: Path) -> None:
    (folder / "index.npy").write_text("of another program")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (zipped, r"1\.tar is compressed by gzip, .* uncompress"),
        (zipped_name, r"0\.tar\.gz is compressed, .* uncompress"),
        (cut, r"0\.tar is no tar file, or is cut short"),
        (bad_header, r"0\.tar goes on behind its end at byte \d+: it is damaged"),
        (one_behind_another, r"0\.tar goes on behind its end at byte \d+: .* several tars in one file"),
        (no_tar, r"1\.tar is no tar file"),
        (empty, r"1\.tar is no tar file"),
        (other_index, r"index\.npy is there and is no index of shards"),
        (other_file, r"index\.npy is there and is no index of shards"),
    ],
)
@pytest.mark.parametrize("on_error", ["fail", "skip"])
def test_shards_that_cannot_be_read_are_refused(tmp_path: Path, change, says: str, on_error) -> None:
    folder = shards_of(tmp_path / "s", [sample(k) for k in range(3)], ("0.tar",))
    change(folder)
    before = contents(folder)
    with pytest.raises(UserError, match=says):
        adopt_store(folder, workers=1, on_error=on_error)
    assert contents(folder) == before
