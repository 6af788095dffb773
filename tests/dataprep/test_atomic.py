"""A file or a folder has its name when it is whole, and an older one stays until then."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dataprep import atomic
from dataprep.atomic import (
    atomic_file,
    put_aside,
    put_folder_in_place,
    remove_leftovers,
    sync,
    unfinished,
    write_text,
)
from dataprep.errors import UserError
from dataprep.process_identity import this_process


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
    put_folder_in_place(new, old)
    assert (old / "file").read_text() == "new" and names(tmp_path) == ["out"]


def test_a_folder_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At no moment is nothing there: no rename takes the old one away first."""
    old, new = folder_of(tmp_path / "out", "old"), folder_of(tmp_path / "new", "new")
    if not atomic._exchange(old, new):
        pytest.skip("needs a file system that lets two folders change places")
    assert (old / "file").read_text() == "new" and (new / "file").read_text() == "old"
    monkeypatch.setattr(Path, "rename", None)
    put_folder_in_place(new, old)
    assert (old / "file").read_text() == "old" and names(tmp_path) == ["out"]


KILLED_BETWEEN = """
import os, signal, sys
from pathlib import Path
from dataprep import atomic
out, rename = Path(sys.argv[1]), Path.rename
def killed_at_the_second(path, target):
    if path.name.endswith("partial"):
        os.kill(os.getpid(), signal.SIGKILL)
    rename(path, target)
Path.rename, atomic._exchange = killed_at_the_second, lambda first, second: False
with atomic.unfinished(out) as partial:
    partial.mkdir()
    (partial / "file").write_text("new")
    atomic.put_folder_in_place(partial, out)
"""


@pytest.mark.timeout(60)
def test_a_kill_between_two_renames_costs_nothing(tmp_path: Path) -> None:
    """Where the file system cannot exchange them."""
    old = folder_of(tmp_path / "out", "old")
    done = subprocess.run([sys.executable, "-c", KILLED_BETWEEN, str(old)])
    assert done.returncode == -signal.SIGKILL and not old.exists() and len(names(tmp_path)) == 2
    with unfinished(old) as partial:
        assert (old / "file").read_text() == "old"
        folder_of(partial, "third")
        put_folder_in_place(partial, old)
    assert (old / "file").read_text() == "third" and names(tmp_path) == ["out"]


@pytest.mark.parametrize("exchanged", [True, False])
def test_an_old_folder_comes_back_where_the_new_one_cannot_be_moved(
    tmp_path: Path, exchanged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchanged:
        monkeypatch.setattr(atomic, "_exchange", lambda first, second: False)
    old = folder_of(tmp_path / "out", "old")
    with pytest.raises(FileNotFoundError):
        put_folder_in_place(tmp_path / "gone", old)
    assert (old / "file").read_text() == "old" and names(tmp_path) == ["out"]


@pytest.mark.parametrize("exchanged", [True, False])
def test_a_link_is_replaced_and_what_it_leads_to_stays(
    tmp_path: Path, exchanged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchanged:
        monkeypatch.setattr(atomic, "_exchange", lambda first, second: False)
    folder_of(tmp_path / "elsewhere", "old")
    for target in ("elsewhere", "nothing"):
        (tmp_path / "out").symlink_to(tmp_path / target)
        put_folder_in_place(folder_of(tmp_path / "new", "new"), tmp_path / "out")
        assert (tmp_path / "out" / "file").read_text() == "new" and not (tmp_path / "out").is_symlink()
        assert (tmp_path / "elsewhere" / "file").read_text() == "old" and names(tmp_path) == ["elsewhere", "out"]
        shutil.rmtree(tmp_path / "out")


def test_a_name_that_is_too_long_is_said(tmp_path: Path) -> None:
    for name in ("n" * 240, "n" * 300):
        with pytest.raises(UserError, match=r"cannot write .*: File name too long"):
            write_text(tmp_path / name, "")


def test_a_file_is_replaced_at_once_or_stays(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    write_text(out, "grün")
    with atomic_file(out) as file:
        file.write(b"second")
        assert out.read_text() == "grün" and len(names(out.parent)) == 2
    assert out.read_text() == "second"
    with pytest.raises(UserError, match="No space left on device"), atomic_file(out) as file:
        file.write(b"third")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert out.read_text() == "second" and names(out.parent) == ["out"]


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, synced, fsync = tmp_path / "out", [], os.fsync

    def watched(number: int) -> None:
        synced.append((os.readlink(f"/proc/self/fd/{number}"), out.exists()))
        fsync(number)

    monkeypatch.setattr(os, "fsync", watched)
    write_text(out, "text")
    (content, before), (folder, after) = synced
    assert Path(content).parent == tmp_path and Path(content) != out and not before
    assert folder == str(tmp_path) and after


@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOTSUP])
def test_what_a_file_system_cannot_sync_is_left_at_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def refuse(number: int) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "fsync", refuse)
    write_text(tmp_path / "out", "text")
    assert (tmp_path / "out").read_text() == "text"


def test_a_disk_that_fails_is_not_left_at_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(number: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match="Input/output error"):
        write_text(tmp_path / "out", "text")
    with pytest.raises(OSError, match="Input/output error"):
        sync(tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("folder", [False, True])
def test_a_disk_that_fails_after_the_rename_is_noted_and_the_result_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, folder: bool
) -> None:
    fsync = os.fsync

    def fail_at_the_folder(number: int) -> None:
        if os.readlink(f"/proc/self/fd/{number}") == str(tmp_path):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(number)

    monkeypatch.setattr(os, "fsync", fail_at_the_folder)
    for content in ("first", "second"):
        if folder:
            with unfinished(tmp_path / "out") as partial:
                put_folder_in_place(folder_of(partial, content), tmp_path / "out")
        else:
            write_text(tmp_path / "out", content)
        written = tmp_path / "out" / "file" if folder else tmp_path / "out"
        assert written.read_text() == content and names(tmp_path) == ["out"]
        assert "is written whole, but the disk reports Input/output error" in capsys.readouterr().err


WRITES_FOR_EVER = """
import sys, time
from pathlib import Path
from dataprep.atomic import unfinished
with unfinished(Path(sys.argv[1])) as partial:
    partial.mkdir()
    (partial / "half").touch()
    time.sleep(60)
"""


def wait_for(folder: Path, pattern: str) -> Path:
    until = time.monotonic() + 30
    while not (found := list(folder.glob(pattern))):
        assert time.monotonic() < until
        time.sleep(0.01)
    return found[0]


@pytest.mark.timeout(60)
def test_what_a_killed_process_left_is_removed_and_what_is_being_written_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with subprocess.Popen([sys.executable, "-c", WRITES_FOR_EVER, str(out)]) as process:
        half = wait_for(tmp_path, ".out.*.partial/half")
        remove_leftovers(tmp_path)
        write_text(out, "ours")
        assert half.exists()
        process.send_signal(signal.SIGKILL)
    (tmp_path / ".other.999999999.partial").touch()  # of an earlier version
    write_text(out, "again")
    assert names(tmp_path) == [".other.999999999.partial", "out"]
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["out"] and out.read_text() == "again"


def test_what_another_machine_writes_stays_unless_it_cannot_be_any_more(tmp_path: Path) -> None:
    theirs = tmp_path / f".out.{replace(this_process(), machine='0' * 8)}.partial"
    theirs.touch()
    (tmp_path / ".out.swp.old").touch()  # a name that is not ours
    remove_leftovers(tmp_path)
    assert theirs.exists()
    remove_leftovers(tmp_path, elsewhere=True)
    assert names(tmp_path) == [".out.swp.old"]


@pytest.mark.parametrize("replaced", [False, True])
def test_a_folder_that_was_moved_aside_comes_back(tmp_path: Path, replaced: bool) -> None:
    """As where a process is killed between the two renames of a replacement, or after them."""
    dead = replace(this_process(), started=1)
    folder_of(tmp_path / f".out.{dead}.old", "old")
    folder_of(tmp_path / ("out" if replaced else f".out.{dead}.partial"), "new")
    remove_leftovers(tmp_path, "out")
    assert names(tmp_path) == ["out"] and (tmp_path / "out" / "file").read_text() == ("new" if replaced else "old")


def test_what_is_put_aside_replaces_nothing(tmp_path: Path) -> None:
    for number, name in enumerate(("x.old", "x.old2", "x.old4")):
        if name == "x.old4":
            (tmp_path / "x.old3").mkdir()
        (tmp_path / "x").write_text(str(number))
        assert put_aside(tmp_path / "x") == tmp_path / name
    assert [(tmp_path / name).read_text() for name in ("x.old", "x.old2", "x.old4")] == ["0", "1", "2"]
