"""The command itself: trains, logs, resumes bit for bit after a kill, and says what is wrong in one sentence."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.tiny_run import rows, tiny_options


def command(store: Path, run: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "vicregl_fast.train", *tiny_options(store, run), *more]


def train(store: Path, run: Path, *more: str) -> subprocess.CompletedProcess:
    return subprocess.run(command(store, run, *more), capture_output=True, text=True, timeout=240)


def stop_midway(store: Path, run: Path, stop: int, *more: str) -> int:
    """Starts a run and sends it the signal once it has logged five rows: its exit code."""
    process = subprocess.Popen(command(store, run, *more), stderr=subprocess.DEVNULL)
    wait_for_rows(run)
    process.send_signal(stop)
    return process.wait(60)


def wait_for_rows(run: Path) -> None:
    """Until it has logged five."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if (run / "metrics.jsonl").exists() and (run / "metrics.jsonl").read_text().count("\n") >= 5:
            break
        time.sleep(0.02)


@pytest.mark.slow
def test_a_stop_signal_to_every_process_of_a_job_saves(image_folder: Path, tmp_path: Path) -> None:
    """As scancel and a preemption send it: to the loading processes, too."""
    run, log = tmp_path / "run", tmp_path / "log"
    more = ["--data.engine", "torchvision", "--data.workers", "2", "--epochs", "1000", "--optim.warmup_epochs", "1"]
    with log.open("w") as output:
        process = subprocess.Popen(command(image_folder, run, *more), stderr=output, process_group=0)
        wait_for_rows(run)
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(60) == 75, log.read_text()
    assert newest(run)["step"] == len(losses(run)) >= 5 and "error" not in log.read_text()


def never_ending(file: Path) -> None:
    """Puts a pipe that is never written to in a file's place."""
    os.mkfifo(pipe := file.with_name("pipe"))
    pipe.replace(file)


def losses(run: Path) -> dict[int, float]:
    return {row["step"]: row["loss"] for row in rows(run) if "loss" in row}


def newest(run: Path) -> dict:
    return torch.load(max((run / "checkpoints").glob("step-*.pt")), weights_only=True)


def same(one: object, other: object) -> bool:
    """Whether two checkpoints, or parts of them, hold the same."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    return one == other


@pytest.fixture(scope="module")
def finished(beton: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of 3 epochs of 4 steps, with a validation store."""
    run = tmp_path_factory.mktemp("runs") / "finished"
    done = train(beton, run, "--data.val_path", str(beton))
    assert done.returncode == 0, done.stderr
    return run


def test_the_files_that_a_run_leaves(finished: Path) -> None:
    assert sorted(losses(finished)) == list(range(1, 13))
    row = rows(finished)[0]
    assert {"global_invariance", "local_feature_covariance", "learning_rate", "online_accuracy"} <= row.keys()
    assert row["images_per_second"] > 0 and 0 <= row["data_wait_share"] <= 1
    validation = [row for row in rows(finished) if "val_loss" in row]
    assert [row["epoch"] for row in validation] == [1, 2, 3]
    assert all(0 <= row["val_accuracy"] <= 1 for row in validation)
    assert (finished / "config.yaml").is_file() and any((finished / "tensorboard").iterdir())
    assert newest(finished)["step"] == 12


@pytest.mark.parametrize(
    "stop", [signal.SIGKILL, *(pytest.param(each, marks=pytest.mark.slow) for each in (signal.SIGTERM, signal.SIGUSR1))]
)
def test_a_stopped_run_goes_on_bit_for_bit(beton: Path, finished: Path, tmp_path: Path, stop: int) -> None:
    run = tmp_path / "run"
    code = stop_midway(beton, run, stop, "--data.val_path", str(beton))
    assert code == (-signal.SIGKILL if stop == signal.SIGKILL else 75)
    if stop == signal.SIGKILL and not list((run / "checkpoints").glob("step-*.pt")):
        pytest.fail("no checkpoint after 4 steps, though one is due every 3")
    assert newest(run)["step"] < 12
    again = train(beton, run, "--data.val_path", str(beton))
    assert again.returncode == 0, again.stderr
    assert "goes on" in again.stdout
    assert losses(run) == losses(finished)
    assert same(newest(run), newest(finished))
    ours, theirs = ([row for row in rows(each) if "val_loss" in row] for each in (run, finished))
    assert ours == theirs and all("val_knn_accuracy" in row for row in ours)


def test_a_finished_run_is_not_trained_again(beton: Path, finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    again = train(beton, run, "--data.val_path", str(beton))
    assert again.returncode == 0 and "is complete" in again.stdout
    assert losses(run) == losses(finished)


def test_other_settings_do_not_touch_a_run(beton: Path, finished: Path) -> None:
    before = (finished / "config.yaml").read_text()
    other = train(beton, finished, "--data.val_path", str(beton), "--loss.alpha", "0.5")
    assert other.returncode == 2
    assert "loss.alpha was 0.75 and now is 0.5" in other.stderr and "Traceback" not in other.stderr
    assert (finished / "config.yaml").read_text() == before


@pytest.mark.slow
def test_two_processes_train_as_one(beton: Path, tmp_path: Path) -> None:
    """Without BatchNorm, whose statistics are each process's own, every loss is the same but for rounding."""
    options = "--model.backbone convnext_atto --model.output_stride 32 --model.drop_path 0 --views.large_size 64"
    more = [*options.split(), "--epochs", "1"]
    alone = train(beton, tmp_path / "alone", *more)
    assert alone.returncode == 0, alone.stderr
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    together = subprocess.run(
        [*launch, *command(beton, tmp_path / "together", *more)[1:]],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert together.returncode == 0, together.stderr[-2000:]
    assert losses(tmp_path / "together") == pytest.approx(losses(tmp_path / "alone"), rel=1e-4)


@pytest.mark.slow
def test_a_plain_folder_is_converted_once_beside_the_run(image_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = train(image_folder, run, "--epochs", "1")
    assert first.returncode == 0, first.stderr
    assert "its 48 images are converted once" in first.stderr
    assert len(list((run / "stores").glob("*.beton"))) == 1
    again = train(image_folder, run, "--epochs", "1")
    assert again.returncode == 0 and "are converted" not in again.stderr


@pytest.mark.slow
def test_a_stop_while_a_folder_is_converted_leaves_no_half_store(image_folder: Path, tmp_path: Path) -> None:
    many = tmp_path / "images"
    for copy in range(60):
        shutil.copytree(image_folder, many / str(copy))
    process = subprocess.Popen(command(many, tmp_path / "run"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    stores, until = tmp_path / "run" / "stores", time.monotonic() + 120
    while time.monotonic() < until and not (stores.exists() and list(stores.glob(".*.partial"))):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 75
    assert b"Traceback" not in process.stderr.read()
    assert list(stores.iterdir()) == []


def wait_for(folder: Path, pattern: str) -> Path:
    until = time.monotonic() + 120
    while not (found := list(folder.glob(pattern))):
        assert time.monotonic() < until
        time.sleep(0.01)
    return found[0]


@pytest.mark.slow
def test_a_second_job_leaves_the_run_of_the_first_alone(beton: Path, finished: Path, tmp_path: Path) -> None:
    run, more = tmp_path / "run", ("--data.val_path", str(beton))
    with subprocess.Popen(command(beton, run, *more), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as first:
        wait_for(run, "lock")
        second = train(beton, run, *more)
        assert first.poll() is None, "the first one ended too early for this test"
        assert second.returncode == 2 and second.stderr.count("\n") == 1
        assert f"{run} is in use by process {first.pid} on host" in second.stderr
        assert first.communicate(timeout=120) and first.returncode == 0
    assert losses(run) == losses(finished) and not (run / "lock").exists()


@pytest.mark.slow
def test_what_a_conversion_that_was_killed_left_is_removed(image_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with subprocess.Popen(command(image_folder, run), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for(run / "stores", ".*.partial")
        process.kill()
    assert (run / "lock").exists()
    again = train(image_folder, run, "--epochs", "1")
    assert again.returncode == 0, again.stderr
    assert sorted(path.suffix for path in (run / "stores").iterdir()) == [".beton", ".json", ".jsonl"]
    assert not (run / "lock").exists()


@pytest.mark.slow
def test_of_two_processes_that_refuse_the_same_one_says_it(beton: Path, tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    words = [*launch, *command(beton, tmp_path / "run", "--batch_size", "64")[1:]]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240)
    assert done.returncode != 0 and done.stderr.count("48 images, fewer than one batch of 64") == 1
    assert "vicregl_fast/train.py" not in done.stderr  # torchrun prints a traceback of its own


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--data.path", "nowhere/train.beton"], "scripts/write_ffcv.sh"),
        (["--batch_size", "64"], "48 images, fewer than one batch of 64"),
        (["--optim.warmup_epochs", "9"], "warm-up"),
        (["--model.backbone", "resnet5o"], "near it are"),
        (["--nonsense", "1"], "--nonsense"),
    ],
)
def test_wrong_input_ends_in_one_sentence(beton: Path, tmp_path: Path, more: list[str], words: str) -> None:
    done = train(beton, tmp_path / "run", *more)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert words in done.stderr
    assert not (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_a_stop_does_not_wait_for_images_that_never_come(image_folder: Path, tmp_path: Path) -> None:
    """As from a disk that is gone: one of the files becomes a pipe that is never written to."""
    shutil.copytree(image_folder, tmp_path / "images")
    run, more = tmp_path / "run", ["--data.engine", "torchvision", "--data.workers", "1", "--epochs", "1000"]
    words = command(tmp_path / "images", run, *more, "--optim.warmup_epochs", "1")
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    wait_for_rows(run)
    never_ending(next((tmp_path / "images").glob("*/*.jpg")))
    time.sleep(6)
    process.send_signal(signal.SIGTERM)
    assert process.wait(40) == 75
    assert newest(run)["step"] == len(losses(run)) >= 5
