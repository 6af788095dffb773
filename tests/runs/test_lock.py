"""One process writes a run; what a dead, a silent or an earlier one held is taken over."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from dataprep.errors import UserError
from dataprep.process_identity import this_process
from vicregl_fast.runs import lock
from vicregl_fast.runs.folder import RunFolder
from vicregl_fast.runs.lock import Holder, check_lock, locked

pytestmark = pytest.mark.timeout(60)
HOLDS_FOR_EVER = """
import sys, time
from pathlib import Path
from vicregl_fast.runs.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def held_by_another(file: Path) -> Iterator[subprocess.Popen]:
    words = [sys.executable, "-c", HOLDS_FOR_EVER, str(file)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def elsewhere(**more: object) -> Holder:
    """A process of another machine."""
    return replace(Holder.this(), process="00000000-77-1", host="node-9", **more)


def leave(file: Path, holder: Holder, silent: float = 0.0) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(asdict(holder)))
    os.utime(file, (time.time() - silent,) * 2)


def test_a_second_process_is_told_who_holds_it(tmp_path: Path) -> None:
    file = tmp_path / "run" / "lock"
    with held_by_another(file) as process:
        said = rf"run is in use by process {process.pid} on host .* \(since 2.*\); wait for it, stop it, or choose"
        with pytest.raises(UserError, match=said), locked(file):
            pass
        assert file.exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert file.exists()
        with locked(file):
            assert json.loads(file.read_text())["process"] == str(this_process())
    assert not file.exists()


@pytest.mark.parametrize("error", [None, UserError("x"), KeyboardInterrupt(), SystemExit(143)], ids=repr)
def test_it_is_released_however_the_block_ends(tmp_path: Path, error: BaseException | None) -> None:
    for folder in (tmp_path / "new", tmp_path):
        try:
            with locked(folder / "lock"):
                assert (folder / "lock").exists()
                if error is not None:
                    raise error
        except type(error):  # type: ignore[misc]
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_process_of_another_machine_holds_it_until_it_has_been_silent_for_long(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    file = tmp_path / "lock"
    leave(file, elsewhere(job="5"), silent=500)
    said = r"process 77 on host node-9 \(since .*, SLURM job 5\).* heard of 50\d s ago, .* after 10 minutes"
    with pytest.raises(UserError, match=said), locked(file):
        pass
    leave(file, elsewhere(), silent=700)
    with locked(file):
        assert "process 77 on host node-9" in (noted := capsys.readouterr().err) and "counts as gone" in noted
        check_lock(file)


@pytest.mark.parametrize(("job", "restarts", "taken"), [("5", 1, True), ("5", 0, False), ("6", 1, False)])
def test_a_requeued_job_takes_over_from_its_earlier_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: str, restarts: int, taken: bool
) -> None:
    leave(tmp_path / "lock", elsewhere(job="5", restarts=0))
    monkeypatch.setenv("SLURM_JOB_ID", job)
    monkeypatch.setenv("SLURM_RESTART_COUNT", str(restarts))
    try:
        with locked(tmp_path / "lock"):
            assert taken
    except UserError:
        assert not taken


def test_a_holder_that_was_killed_before_it_wrote_its_name_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "NAMELESS_AFTER", 0.3)
    (tmp_path / "lock").touch()
    with locked(tmp_path / "lock"):
        check_lock(tmp_path / "lock")


def test_the_holder_renews_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "RENEWED_EVERY", 0.05)
    with locked(tmp_path / "lock"):
        os.utime(tmp_path / "lock", (0, 0))
        until = time.monotonic() + 20
        while (tmp_path / "lock").stat().st_mtime == 0:
            assert time.monotonic() < until
            time.sleep(0.02)


def test_who_was_taken_for_gone_notices_and_leaves_the_other_alone(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with locked(file):
        check_lock(file)
        leave(file, elsewhere())
        with pytest.raises(UserError, match="taken over by process 77 on host node-9"):
            check_lock(file)
    assert json.loads(file.read_text())["host"] == "node-9"


def test_of_many_that_start_at_once_one_holds_it(tmp_path: Path) -> None:
    file = tmp_path / "run" / "lock"
    leave(file, replace(Holder.this(), process=str(replace(this_process(), started=1))))
    words = [sys.executable, "-c", HOLDS_FOR_EVER, str(file)]
    started = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(6)]
    try:
        until = time.monotonic() + 40
        while sum(process.poll() is not None for process in started) < 5:
            assert time.monotonic() < until
            time.sleep(0.05)
        (winner,) = (process for process in started if process.poll() is None)
        assert winner.stdout is not None and winner.stdout.readline() == "held\n"
    finally:
        for process in started:
            process.kill()
            process.wait()
            process.stdout.close()  # type: ignore[union-attr]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "run", Path("/proc/run")):
        with pytest.raises(UserError, match=r"cannot be written: .*choose another --run_dir"), locked(path / "lock"):
            pass


def test_who_holds_a_run_removes_what_killed_processes_left_in_it(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    dead, alive = replace(this_process(), started=1), this_process()
    left = [
        folder.path / f".metrics.jsonl.{dead}.partial",
        folder.checkpoints.folder / ".step-000000003.pt.999999999.partial",
    ]
    left += [folder.stores / ".a.beton.00000000-7-7.partial"]  # of another machine, whose run held the lock before
    kept = [folder.path / f".results.json.{alive}.partial", folder.path / ".hidden"]
    for path in (*left, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with folder.held():
        assert not any(path.exists() for path in left) and all(path.exists() for path in kept)


def test_a_lock_of_a_later_version_is_understood(tmp_path: Path) -> None:
    file = tmp_path / "run" / "lock"
    with held_by_another(file):
        file.write_text(json.dumps({**json.loads(file.read_text()), "colour": "blue"}))
        os.utime(file, (time.time() - 30,) * 2)
        with pytest.raises(UserError, match="is in use by"), locked(file):
            pass


@pytest.mark.parametrize("odd", ["from the future", "a link to nothing"])
def test_a_lock_that_names_nobody_is_taken_over(tmp_path: Path, odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "NAMELESS_AFTER", 0.3)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "many")
    file = tmp_path / "run" / "lock"
    file.parent.mkdir()
    if odd == "from the future":
        file.touch()
        os.utime(file, (time.time() + 3600,) * 2)
    else:
        file.symlink_to(tmp_path / "nowhere")
    with locked(file):
        assert json.loads(file.read_text())["restarts"] == 0
