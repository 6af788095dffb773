"""A checkpoint is whole or not there, and the last good one always stays."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from dataprep.errors import UserError
from vicregl_fast.runs.checkpoints import Checkpoints, load_checkpoint
from vicregl_fast.runs.folder import RunFolder


def test_the_newest_is_loaded_and_two_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 20, 300):
        checkpoints.save({"step": step, "weights": torch.full((3,), float(step))}, step)
    assert [path.name for path in checkpoints.paths()] == ["step-000000300.pt", "step-000000020.pt"]
    state = checkpoints.load_newest()
    assert state is not None and state["step"] == 300 and state["weights"].tolist() == [300.0] * 3
    assert checkpoints.load_newest(but={300})["step"] == 20
    assert checkpoints.load_newest(but={300, 20}) is None


def test_those_to_keep_stay_beside_the_two_newest(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in range(1, 8):
        checkpoints.save({"step": step}, step, keep=step in (2, 4))
    names = [f"step-00000000{name}.pt" for name in ("7", "6", "4-kept", "2-kept")]
    assert [path.name for path in checkpoints.paths()] == names
    assert checkpoints.path(4).name == names[2] and checkpoints.path(7).name == names[0]
    assert [checkpoints.load_newest(but)["step"] for but in ((), {7}, {7, 6}, {7, 6, 4})] == [7, 6, 4, 2]
    checkpoints.save({"step": 8}, 8, keep=True)
    assert [path.name for path in checkpoints.paths()] == ["step-000000008-kept.pt", names[0], *names[2:]]


def test_a_step_has_one_checkpoint(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save({"step": 3, "again": False}, 3)
    checkpoints.save({"step": 3, "again": True}, 3, keep=True)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000003-kept.pt"]
    assert checkpoints.load_newest()["again"]


def test_a_damaged_newest_falls_back_to_the_one_before(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save({"step": 1}, 1)
    checkpoints.save({"step": 2}, 2).write_bytes(b"cut short")
    (tmp_path / "step-000000003.partial").write_bytes(b"half")
    state = checkpoints.load_newest()
    assert state == {"step": 1}
    assert "step-000000002.pt cannot be read" in capsys.readouterr().err


def test_a_failing_write_leaves_the_last_good_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save({"step": 1}, 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match=r"cannot write .*step-000000002\.pt: No space left on device"):
        checkpoints.save({"step": 2}, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001.pt"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB; to mount it takes root."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_leaves_the_last_good_one_and_nothing_else(small_disk: Path) -> None:
    folder = RunFolder(small_disk / "run")
    with folder.held():
        folder.checkpoints.save({"weights": torch.ones(200_000)}, 1)
        with pytest.raises(UserError, match=r"cannot write .*step-000000002\.pt: .*free space or choose another place"):
            folder.checkpoints.save({"weights": torch.ones(400_000)}, 2)
    assert [path.name for path in folder.checkpoints.folder.iterdir()] == ["step-000000001.pt"]
    state = folder.checkpoints.load_newest()
    assert state is not None and state["weights"].sum() == 200_000


def test_what_fills_the_disk_is_removed_before_the_run_is_locked(small_disk: Path) -> None:
    folder = RunFolder(small_disk / "run")
    left = folder.checkpoints.folder / ".step-000000003.pt.999999999.partial"
    left.parent.mkdir(parents=True)
    with left.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    with folder.held():
        folder.checkpoints.save({"weights": torch.ones(200_000)}, 1)
    assert not left.exists()


def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (open, (str(tmp_path / "written"), "w"))

    torch.save({"step": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(UserError, match="cannot be read"):
        load_checkpoint(tmp_path / "evil.pt")
    assert not (tmp_path / "written").exists()


def test_no_readable_checkpoint_is_said(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert Checkpoints(tmp_path).load_newest() is None
    (tmp_path / "step-000000001.pt").write_bytes(b"")
    with pytest.raises(UserError, match=r"no checkpoint in .* can be read; choose another --run_dir"):
        Checkpoints(tmp_path).load_newest()
    assert "trying the one before" not in capsys.readouterr().err
    (tmp_path / "step-000000002.pt").write_bytes(b"")
    with pytest.raises(UserError, match=r"can be read; give another run"):
        Checkpoints(tmp_path).load_newest(remedy="give another run")
    assert capsys.readouterr().err.count("trying the one before") == 1


@pytest.mark.parametrize("flipped", [False, True])
def test_wrong_bytes_within_tensors_are_noticed(tmp_path: Path, flipped: bool, capsys: pytest.CaptureFixture) -> None:
    """Torch reads them without a word."""
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save({"step": 1}, 1)
    path = checkpoints.save({"step": 2, "weights": torch.arange(30_000.0)}, 2)
    content = bytearray(path.read_bytes())
    place = content.index(torch.arange(1000.0, 1010.0).numpy().tobytes())
    content[place : place + 4] = bytes([content[place] ^ 1, *content[place + 1 : place + 4]]) if flipped else bytes(4)
    path.write_bytes(content)
    assert len(torch.load(path, weights_only=True)["weights"]) == 30_000
    assert checkpoints.load_newest() == {"step": 1}
    assert "step-000000002.pt is damaged (Bad CRC-32" in capsys.readouterr().err


def test_a_run_is_found_by_the_bare_name_of_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder(tmp_path / "run")
    path = run.checkpoints.save({"step": 1}, 1)
    monkeypatch.chdir(path.parent)
    assert RunFolder.holding(Path(path.name)) == run


@pytest.mark.parametrize("kind", ["without checksums", "legacy"])
def test_files_without_checksums_are_read(tmp_path: Path, kind: str) -> None:
    torch.serialization.set_crc32_options(kind != "without checksums")
    try:
        torch.save({"step": 1}, tmp_path / "a.pt", _use_new_zipfile_serialization=kind != "legacy")
    finally:
        torch.serialization.set_crc32_options(True)
    assert load_checkpoint(tmp_path / "a.pt") == {"step": 1}
