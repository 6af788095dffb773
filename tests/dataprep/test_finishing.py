"""A file or a folder has its name when it is whole, and an older one stays until then."""

import errno
import os
from pathlib import Path

import pytest

from dataprep.errors import UserError
from dataprep.finishing import replace_folder, unfinished


def folder_of(path: Path, content: str) -> Path:
    path.mkdir()
    (path / "file").write_text(content)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143), ValueError()], ids=repr)
def test_what_is_interrupted_is_removed(tmp_path: Path, error: BaseException) -> None:
    for name, make in (("file", Path.touch), ("folder", Path.mkdir)):
        with pytest.raises(type(error)), unfinished(tmp_path / "new" / name) as partial:
            make(partial)
            if partial.is_dir():
                (partial / "inside").touch()
            assert len(names(tmp_path / "new")) == 1 and name not in names(tmp_path / "new")
            raise error
    assert names(tmp_path / "new") == []


def test_what_the_system_refuses_is_said(tmp_path: Path) -> None:
    says = r"cannot write .*out: No space left on device; free space or choose another place"
    with pytest.raises(UserError, match=says), unfinished(tmp_path / "out") as partial:
        partial.mkdir()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert names(tmp_path) == []


def test_a_folder_is_replaced_by_a_new_one(tmp_path: Path) -> None:
    old, new = folder_of(tmp_path / "out", "old"), folder_of(tmp_path / "new", "new")
    replace_folder(new, old)
    assert (old / "file").read_text() == "new" and names(tmp_path) == ["out"]


def test_an_old_folder_comes_back_where_the_new_one_cannot_be_moved(tmp_path: Path) -> None:
    old = folder_of(tmp_path / "out", "old")
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "gone", old)
    assert (old / "file").read_text() == "old" and names(tmp_path) == ["out"]


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    folder_of(tmp_path / "elsewhere", "old")
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    replace_folder(folder_of(tmp_path / "new", "new"), tmp_path / "out")
    assert (tmp_path / "out" / "file").read_text() == "new"
    assert (tmp_path / "elsewhere" / "file").read_text() == "old" and names(tmp_path) == ["elsewhere", "out"]
