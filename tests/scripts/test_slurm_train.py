"""The batch script, run whole with stand-ins for SLURM's programs, which start real processes."""

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.slurm_programs import write_programs
from tests.test_train import losses, newest, wait_for_rows
from tests.tiny_run import tiny_options

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "slurm_train.sbatch"


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """The environment of a batch job whose programs are stand-ins."""
    (tmp_path / "bin").mkdir()
    return {**write_programs(tmp_path / "bin"), "SLURM_JOB_ID": str(os.getpid())}


def start(slurm: dict[str, str], folder: Path, options: list[str], **more: str) -> subprocess.Popen:
    words = ["bash", str(SCRIPT), *options]
    return subprocess.Popen(words, cwd=folder, env={**slurm, **more}, stderr=subprocess.PIPE, text=True)


def stop(job: subprocess.Popen, run: Path, number: signal.Signals) -> int:
    """Sends a signal to the whole job, once it has trained: its exit code."""
    wait_for_rows(run)
    for process in (psutil.Process(job.pid), *psutil.Process(job.pid).children()):
        process.send_signal(number)
    return job.wait(60)


def test_bash_reads_it() -> None:
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)


@pytest.mark.slow
def test_a_job_is_queued_again_until_its_run_is_complete(beton: Path, slurm: dict[str, str], tmp_path: Path) -> None:
    run, requeued = tmp_path / "run", tmp_path / "bin" / "scontrol.txt"
    options = tiny_options(beton, run)
    assert stop(start(slurm, tmp_path, options), run, signal.SIGUSR1) == 75
    assert requeued.read_text() == f"requeue {os.getpid()}\n"
    before = newest(run)["step"]
    assert 5 <= before < 12
    again = start(slurm, tmp_path, options)
    errors = again.communicate(timeout=120)[1]
    assert again.returncode == 0, errors
    assert len(losses(run)) == newest(run)["step"] == 12 and requeued.read_text().count("\n") == 1


@pytest.mark.slow
def test_a_job_that_is_cancelled_saves_and_stays_away(beton: Path, slurm: dict[str, str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    job = start(slurm, tmp_path, tiny_options(beton, run, epochs=100), STATE="COMPLETING")
    assert stop(job, run, signal.SIGTERM) == 75
    assert newest(run)["step"] == len(losses(run)) and not (tmp_path / "bin" / "scontrol.txt").exists()


def test_a_mistake_is_not_queued_again(slurm: dict[str, str], tmp_path: Path) -> None:
    job = start(slurm, tmp_path, ["--epocs", "3"])
    assert "--epocs" in job.communicate(timeout=60)[1]
    assert job.returncode == 2 and not (tmp_path / "bin" / "scontrol.txt").exists()
