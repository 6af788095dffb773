"""A file is written where a link leads to; what is no file, such as a device or a pipe, is written to as it is."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dataprep.atomic import atomic_file, write_text
from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.sources import list_images
from dataprep.webdataset_store import write_shards
from tests.dataprep.pictures import write_tree


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_link_to_a_file_stays(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    for target in ("disk/old", "disk/nothing"):
        (tmp_path / "disk" / "old").write_text("old")
        (tmp_path / "out").symlink_to(target)
        with atomic_file(tmp_path / "out") as file:
            file.write(b"new")
            assert len(names(tmp_path)) == 2  # unfinished where the link leads to, perhaps on another disk
        assert (tmp_path / "out").is_symlink() and (tmp_path / target).read_text() == "new"
        (tmp_path / "out").unlink()
    assert names(tmp_path / "disk") == ["nothing", "old"]


def test_a_device_and_a_pipe_stay_and_are_written_to(tmp_path: Path) -> None:
    master, terminal = os.openpty()
    write_text(Path(os.ttyname(terminal)), "through")
    assert os.read(master, 100) == b"through" and stat.S_ISCHR(os.stat(os.ttyname(terminal)).st_mode)
    os.close(terminal)
    os.close(master)
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_text(tmp_path / "pipe", "through")
    assert os.read(reader, 100) == b"through" and stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)
    os.close(reader)
    assert names(tmp_path) == ["pipe"]


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_what_a_program_writes_to_is_no_file_to_replace(tmp_path: Path, name: str) -> None:
    script = f"from dataprep.atomic import *; print('table'); write_text(Path('{name}'), 'json'); print('end')"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([sys.executable, "-c", script], stdout=out, check=True, env=buffered)
    assert (tmp_path / "out").read_text() == "table\njsonend\n"


def test_a_link_in_a_circle_is_said(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("out")
    with pytest.raises(UserError, match="cannot write"), atomic_file(tmp_path / "out" / "file"):
        pass


@pytest.mark.parametrize(("write", "name"), [(write_store, "pipe.beton"), (write_shards, "pipe")])
def test_a_store_does_not_take_the_place_of_a_pipe(tmp_path: Path, write: Callable, name: str) -> None:
    write_tree(tmp_path / "images")
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match="give the name of a f"):
        write(list_images(tmp_path / "images"), tmp_path / name, workers=1, overwrite=True)
    assert stat.S_ISFIFO(os.stat(tmp_path / name).st_mode) and names(tmp_path) == ["images", name]
