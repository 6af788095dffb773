"""Processes that a launcher has started find each other, and end when it does, or when they wait in vain."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from tests.processes import children, have_ended, wait_until
from tests.test_train import command, losses, never_ending, newest, wait_for_rows

SRUN = [sys.executable, "-m", "tests.srun"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
LONG = ["--epochs", "1000", "--optim.warmup_epochs", "1"]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "SLURM_NTASKS": "2", **more}


def run(words: list[str], **more: str) -> subprocess.CompletedProcess:
    return subprocess.run(words, capture_output=True, text=True, timeout=240, env=environment(**more))


@pytest.mark.slow
def test_tasks_of_srun_train_as_those_of_torchrun(beton: Path, tmp_path: Path) -> None:
    ours = run([*SRUN, *command(beton, tmp_path / "srun", "--epochs", "1", "--optim.warmup_epochs", "0")])
    assert ours.returncode == 0, ours.stderr
    theirs = run([*TORCHRUN, *command(beton, tmp_path / "torchrun", "--epochs", "1", "--optim.warmup_epochs", "0")[1:]])
    assert theirs.returncode == 0, theirs.stderr
    assert losses(tmp_path / "srun") == losses(tmp_path / "torchrun") and len(losses(tmp_path / "srun")) == 4
    one, other = (newest(tmp_path / name)["network"] for name in ("srun", "torchrun"))
    assert all(torch.equal(one[name], other[name]) for name in other)


@pytest.mark.slow
def test_tasks_with_options_of_their_own_are_refused(beton: Path, tmp_path: Path) -> None:
    """As in a sweep over seeds; each task alone would be right."""
    words = " ".join(command(beton, tmp_path / "run", "--seed", "$SLURM_PROCID"))
    done = run([*SRUN, "sh", "-c", words])
    assert done.returncode == 2 and done.stderr.count("error: ") == 1 and "Traceback" not in done.stderr
    assert "process 1 has other options than process 0" in done.stderr and "seed is 0 there and 1 here" in done.stderr
    assert not (tmp_path / "run").exists()


def start(words: list[str], log: Path, started: list[psutil.Process]) -> subprocess.Popen:
    """Starts a launcher whose processes write to ``log``, and do not outlive the test."""
    with log.open("w") as output:
        launcher = subprocess.Popen(words, stdout=output, stderr=output, env=environment(TMPDIR=str(log.parent)))
    started.append(psutil.Process(launcher.pid))
    return launcher


def kill(launcher: subprocess.Popen, started: list[psutil.Process]) -> list[psutil.Process]:
    """Kills a launcher: the processes that it leaves behind."""
    found = children(psutil.Process(launcher.pid))
    started += found
    launcher.kill()
    launcher.wait()
    return found


@pytest.mark.slow
def test_workers_of_a_torchrun_that_was_killed_save_and_end(
    beton: Path, tmp_path: Path, started: list[psutil.Process]
) -> None:
    folder, log = tmp_path / "run", tmp_path / "log"
    launcher = start([*TORCHRUN, *command(beton, folder, *LONG)[1:]], log, started)
    wait_for_rows(folder)
    left = kill(launcher, started)
    assert len(left) == 2 and wait_until(lambda: have_ended(left), 20), log.read_text()
    assert log.read_text().count("what started this process is gone") == 1
    step = newest(folder)["step"]
    assert step == max(losses(folder)) >= 5 and f"the same command goes on after step {step}" in log.read_text()
    assert not (folder / "lock").exists()


@pytest.mark.slow
def test_a_worker_that_waits_for_another_ends_with_its_torchrun(
    beton: Path, tmp_path: Path, started: list[psutil.Process]
) -> None:
    """One of two has not started to train yet, so that the other waits for it."""
    log = tmp_path / "log"
    script = f'if [ "$RANK" = 1 ]; then exec sleep 300; fi; exec {" ".join(command(beton, tmp_path / "run"))}'
    launcher = start([*TORCHRUN, "--no_python", "bash", "-c", script], log, started)
    assert wait_until(lambda: len(children(started[0])) == 2, 60)
    time.sleep(10)
    waiting = kill(launcher, started)[0]
    assert wait_until(lambda: have_ended([waiting]), 15), log.read_text()
    assert "what started this process is gone" in log.read_text() and "Traceback" not in log.read_text()
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_processes_that_wait_in_vain_end_when_asked(
    image_folder: Path, tmp_path: Path, started: list[psutil.Process]
) -> None:
    """One waits for a pipe that is never written to, as for a disk that is gone, and the other waits for it."""
    images, folder, log = tmp_path / "images", tmp_path / "run", tmp_path / "log"
    shutil.copytree(image_folder, images)
    more = ["--data.engine", "torchvision", "--train.checkpoint_every", "1", *LONG]
    launcher = start([*SRUN, *command(images, folder, *more)], log, started)
    assert wait_until(lambda: any((folder / "checkpoints").glob("*.pt")), 90), log.read_text()
    never_ending(next(images.glob("*/*.jpg")))
    reached = -1
    while reached != (reached := newest(folder)["step"]):  # until no step is taken any more
        time.sleep(12)
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(90) == 75, log.read_text()
    assert log.read_text().count("SIGTERM asked for a stop") == 2 and "Traceback" not in log.read_text()
    assert log.read_text().count(f"the same command goes on after step {newest(folder)['step']}\n") == 2
