"""Jobs train for real, on this machine or by stand-ins for SLURM's programs, and are queued again once stopped."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.processes import have_ended, wait_until
from tests.slurm_programs import JOB, write_programs
from tests.test_train import losses, newest, wait_for_rows
from tests.tiny_run import tiny_options
from vicregl_fast.cluster.options import launch_parser, minutes
from vicregl_fast.cluster.submission import REQUEUE, SRUN_OPTIONS, parameters
from vicregl_fast.config import parse_config
from vicregl_fast.launch import main

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "slurm_train.sbatch"


def launch(folder: Path, options: list[str], training: list[str], environment: dict[str, str] | None = None) -> str:
    """Submits a job: what is printed."""
    words = [sys.executable, "-m", "vicregl_fast.launch", *options, "--", *training]
    with (folder / "printed").open("w") as output:  # a job holds it open
        subprocess.run(words, stdout=output, stderr=output, timeout=60, env=environment)
    return (folder / "printed").read_text()


def local_job(printed: str) -> psutil.Process:
    return psutil.Process(int(printed.split()[1]))


def log_of(run: Path) -> str:
    return "".join(file.read_text() for file in (run / "jobs").glob("*_log.out"))


@pytest.mark.slow
def test_a_local_job_goes_on_after_a_preemption(beton: Path, tmp_path: Path, started: list[psutil.Process]) -> None:
    run = tmp_path / "run"
    training = tiny_options(beton, run)
    printed = launch(tmp_path, ["--local", "--gpus", "2"], training)
    job = local_job(printed)
    started.append(job)
    assert f"logs: {run}/jobs\n" in printed and f"vicregl_fast.train {training[0]} " in printed
    wait_for_rows(run)
    tasks = job.children()
    assert len(tasks) == 2
    for task in tasks:
        task.send_signal(signal.SIGUSR1)
    assert wait_until(lambda: have_ended([job]), 120), log_of(run)
    assert "goes on: " in log_of(run) and "Traceback" not in log_of(run)
    assert len(losses(run)) == newest(run)["step"] == 12
    assert (run / "jobs" / f"{job.pid}_0_result.pkl").exists()


@pytest.mark.slow
def test_a_local_job_that_is_ended_saves_and_stays_away(
    beton: Path, tmp_path: Path, started: list[psutil.Process]
) -> None:
    run = tmp_path / "run"
    job = local_job(launch(tmp_path, ["--local", "--gpus", "2"], tiny_options(beton, run, epochs=1000)))
    started.append(job)
    wait_for_rows(run)
    job.terminate()
    assert wait_until(lambda: have_ended([job]), 60), log_of(run)
    assert newest(run)["step"] == len(losses(run)) and "goes on: " not in log_of(run)


@pytest.mark.slow
def test_a_job_of_slurm_asks_to_be_queued_again(beton: Path, tmp_path: Path, started: list[psutil.Process]) -> None:
    (tmp_path / "bin").mkdir()
    run, slurm = tmp_path / "run", write_programs(tmp_path / "bin")
    printed = launch(tmp_path, ["--gpus", "2", "--partition", "gpus"], tiny_options(beton, run, epochs=1000), slurm)
    assert printed.startswith(f"job {JOB} is submitted\n")
    job = psutil.Process(int((tmp_path / "bin" / "pid").read_text()))
    started.append(job)
    wait_for_rows(run)
    job.children()[0].send_signal(signal.SIGUSR1)  # srun, which hands it on
    assert wait_until(lambda: have_ended([job]), 60), log_of(run)
    assert (tmp_path / "bin" / "scontrol.txt").read_text() == f"requeue {JOB}\n"
    assert newest(run)["step"] == len(losses(run)) >= 5
    script = (run / "jobs" / f"{JOB}_submission.sh").read_text()
    for words in ("--ntasks-per-node=2", "--gpus-per-node=2", "--partition=gpus", "--time=1440", "--signal=USR1@180"):
        assert f"#SBATCH {words}\n" in script
    assert "#SBATCH --requeue\n" in script


def test_jobs_and_the_script_follow_one_rule() -> None:
    text = SCRIPT.read_text()
    assert "\n".join(REQUEUE) in text and f"srun {' '.join(SRUN_OPTIONS)} " in text
    options = launch_parser(None).parse_args([])
    given = parameters(options, parse_config([]))
    assert f"#SBATCH --time={given['time'] // 60}:00:00" in text
    assert f"#SBATCH --signal=USR1@{given['signal_delay_s']}" in text
    assert f"#SBATCH --cpus-per-task={given['cpus_per_task']}" in text
    assert given["setup"] == [f"export SRUN_CPUS_PER_TASK={options.cpus_per_gpu}"]
    assert "export SRUN_CPUS_PER_TASK=" in text


def test_what_would_be_submitted_is_printed(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    main(["--nodes", "4", "--mem", "400G", "--dry_run", "--", "--run_dir", str(tmp_path / "run")])
    said = capsys.readouterr().out.splitlines()
    assert "nodes: 4" in said and "ntasks_per_node: 8" in said and "time: 1440" in said
    assert "additional_parameters: {'requeue': True, 'mem': '400G'}" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--", "--epocs", "3"], "--epocs"),
        (["--epochs", "3"], "unrecognized arguments: --epochs 3"),
        (["--nodes", "3", "--", "--batch_size", "2048"], "cannot be shared evenly by 24 processes"),
        (["--nodes", "2", "--local", "--"], "--local is this machine, and --nodes is 2"),
        (["--time", "1:00", "--"], "1:00 is no time"),
        (["--time", "00:02:00", "--"], "give more --time"),
        (["--nodes", "0"], "0 is too few"),
        (["--"], "there is no SLURM here"),
    ],
)
def test_mistakes_are_said_before_anything_is_submitted(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and error.startswith("error: ") and error.count("\n") == 1 and words in error
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_slurm_refuses_is_one_sentence(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    write_programs(tmp_path)
    (tmp_path / "sbatch").write_text("#!/bin/bash\necho sbatch: error: invalid partition specified: x >&2; exit 1\n")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stopped:
        patch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        main(["--partition", "x", "--", "--run_dir", str(tmp_path / "run")])
    error = capfd.readouterr().err
    assert stopped.value.code == 2 and error.count("\n") == 1
    assert error.startswith("error: SLURM does not take the job: sbatch: error: invalid partition")


def test_times_are_read_as_slurm_writes_them() -> None:
    assert [minutes(text) for text in ("24:00:00", "2-00:30:00", "00:01:30")] == [1440, 2910, 2]
