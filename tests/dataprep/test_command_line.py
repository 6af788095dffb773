"""The commands as a user runs them: exit codes, one sentence on stderr, what a violent end leaves."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from dataprep.ffcv_store import write_store
from dataprep.manifest import read_manifest
from dataprep.sources import list_images
from dataprep.value_range import ValueRange
from tests.dataprep.files import tiff
from tests.dataprep.pictures import write_jpeg, write_tree
from tests.dataprep.stores import KINDS, Kind
from tests.processes import children, command_line, have_ended, kill_with_children

REPOSITORY = Path(__file__).resolve().parents[2]

every_kind = pytest.mark.parametrize("kind", KINDS, ids=str)

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts ``python -m dataprep`` with arguments; whatever a test leaves running is ended with it."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "dataprep", *map(str, arguments)]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, cwd=REPOSITORY, stdout=pipe, stderr=pipe, text=True))
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            kill_with_children(psutil.Process(process.pid))
        process.communicate()


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


def start_stalled(start: Start, folder: Path, kind: Kind) -> subprocess.Popen[str]:
    """A conversion of ``folder / "images"`` to ``folder / kind.name`` in which one image waits for ever to be read.

    As on a network disk that is gone: the image becomes a pipe after the folder was listed, which is over once the
    program asks for the list of the images to take.
    """
    images, chosen = folder / "images", folder / "list"
    for index in range(30):
        write_jpeg(images / f"{index:02d}.jpg", seed=index)
    os.mkfifo(chosen)
    process = start(kind.command, images, folder / kind.name, "--list", chosen, "--workers", 2)
    with chosen.open("w") as asked:
        (images / "17.jpg").unlink()
        os.mkfifo(images / "17.jpg")
        asked.write("".join(f"{index:02d}.jpg\n" for index in range(30)))
    chosen.unlink()
    return process


def wait_for_workers(process: subprocess.Popen[str], out: Path) -> list[psutil.Process]:
    """The worker processes, once the conversion is under way."""
    while process.poll() is None:
        partial = [path for path in out.parent.glob(".*.partial") if path.stat().st_size]
        workers = [each for each in children(psutil.Process(process.pid)) if "worker_process" in command_line(each)]
        if partial and len(workers) == 2:
            time.sleep(1.0)  # more than the sound images need
            return workers
        time.sleep(0.05)
    raise AssertionError(process.communicate()[1])


@pytest.mark.timeout(180)
@every_kind
def test_a_broken_image_ends_in_one_sentence(start: Start, tmp_path: Path, kind: Kind) -> None:
    write_tree(tmp_path / "images")
    (tmp_path / "images" / "bee" / "1.jpg").write_bytes(b"broken")
    process = start(kind.command, tmp_path / "images", tmp_path / kind.name, "--workers", 2)
    errors = process.communicate()[1]
    assert process.returncode == 2
    assert last_line(errors).startswith("error: ") and "bee/1.jpg cannot be converted" in last_line(errors)
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ffcv", "NOWHERE", "s.beton"), "the image folder NOWHERE does not exist"),
        (("ffcv", "dataprep", "s.beton"), "there are no images in dataprep"),
        (("ffcv", "dataprep"), "the following arguments are required: OUT.beton"),
        (
            ("ffcv", "dataprep", "s.beton", "--quality", "high"),
            "argument --quality: invalid int value: 'high'",
        ),
        (("ffcv", "SOURCE", "s.beton", "--range", "high"), "--range high is no range; give auto, full, or two numbers"),
        (("webdataset", "SOURCE", "s", "--range=1,1"), "--range 1,1 is no range; give auto, full, or two numbers"),
        (("ffcv", "SOURCE", "s.beton", "--max-pixels", 0), "--max_pixels 0 is too few"),
        (("webdataset", "dataprep"), "the following arguments are required: OUT_DIR"),
        (("verify", "nowhere.beton"), "there is no store nowhere.beton"),
        (("adopt", "nowhere.beton"), "there is no store nowhere.beton"),
        (("adopt", "dataprep"), "there are no shards in dataprep"),
        (("adopt", "dataprep", "--classes", "nowhere"), "the file of classes nowhere cannot be read"),
        (("demo", "dataprep"), "dataprep exists and is not an empty folder"),
        (("draw",), "invalid choice: 'draw'"),
    ],
)
def test_wrong_arguments_end_in_one_sentence(
    start: Start, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    write_jpeg(tmp_path / "a.jpg")
    process = start(*(tmp_path if argument == "SOURCE" else argument for argument in arguments))
    errors = process.communicate()[1]
    assert process.returncode == 2
    assert errors.startswith("error: ") and errors.count("\n") == 1 and says in errors


@pytest.mark.timeout(180)
@every_kind
@pytest.mark.parametrize("which", [0, 1])  # one of them reads the endless file, the other waits for work
def test_a_killed_worker_ends_in_one_sentence(start: Start, tmp_path: Path, kind: Kind, which: int) -> None:
    out = tmp_path / kind.name
    process = start_stalled(start, tmp_path, kind)
    wait_for_workers(process, out)[which].kill()
    errors = process.communicate()[1]
    assert process.returncode == 2
    assert last_line(errors).startswith("error: a worker process died") and "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


@pytest.mark.timeout(180)
@every_kind
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_conversion_leaves_nothing(
    start: Start, tmp_path: Path, kind: Kind, number: signal.Signals
) -> None:
    out = tmp_path / kind.name
    process = start_stalled(start, tmp_path, kind)
    workers = wait_for_workers(process, out)
    process.send_signal(number)
    errors = process.communicate()[1]
    assert process.returncode == 128 + number
    assert f"stopped by {number.name}" in errors and "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["images"]
    assert have_ended(workers)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("needs to mount a small file system, which takes root")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.timeout(180)
@every_kind
def test_a_full_disk_ends_in_one_sentence(start: Start, small_disk: Path, tmp_path: Path, kind: Kind) -> None:
    for index in range(12):
        noise = np.random.default_rng(index).integers(0, 256, (300, 300, 3), np.uint8)
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(noise).save(tmp_path / "images" / f"{index}.jpg", quality=95)
    process = start(kind.command, tmp_path / "images", small_disk / kind.name, "--workers", 2)
    errors = process.communicate()[1]
    assert process.returncode == 2 and "Traceback" not in errors
    assert kind.name in last_line(errors) and ": No space left on device; free space" in last_line(errors)
    assert list(small_disk.iterdir()) == []


@pytest.mark.timeout(180)
@every_kind
def test_verify_says_what_is_wrong(start: Start, tmp_path: Path, kind: Kind) -> None:
    write_tree(tmp_path / "images")
    kind.write(list_images(tmp_path / "images"), tmp_path / kind.name, workers=1)
    process = start("verify", tmp_path / kind.name, "--sample", 4, "--workers", 2)
    printed, errors = process.communicate()
    assert process.returncode == 0 and "6/6" in errors and "4/4" in errors and "images/s" in errors
    assert printed == f"{tmp_path / kind.name} is whole: every image decodes, and 4 are what their source gives\n"
    write_jpeg(tmp_path / "images" / "bee" / "1.jpg", seed=99)
    process = start("verify", tmp_path / kind.name, "--workers", 2)
    errors = process.communicate()[1]
    assert process.returncode == 2 and "Traceback" not in errors
    assert last_line(errors).startswith("error: image 4 of ") and "is not what" in last_line(errors)


@pytest.mark.timeout(180)
def test_an_interrupted_demo_leaves_nothing(start: Start, tmp_path: Path) -> None:
    process = start("demo", tmp_path / "set", "--images", 2000, "--workers", 2)
    while not list(tmp_path.glob(".set.*.partial/train/*/*.jpg")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


SCRIPTS = {"write_ffcv.sh": ".beton", "write_dali.sh": ""}
"""And how the names of their stores end."""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", SCRIPTS)
def test_script_writes_both_parts_of_a_tree(tmp_path: Path, name: str) -> None:
    write_tree(tmp_path / "tree" / "train", each=3)
    write_tree(tmp_path / "tree" / "val", each=1)
    (tmp_path / "tree" / "train" / "bee" / "1.jpg").write_bytes(b"broken")
    script = REPOSITORY / "scripts" / name
    options = ["--max_side", "40", "--workers", "1", "--on_error", "skip"]
    command = [str(script), str(tmp_path / "tree"), str(tmp_path / "new" / "out"), *options]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0
    stores = [tmp_path / "new" / "out" / f"{part}{SCRIPTS[name]}" for part in ("train", "val")]
    train, val = map(read_manifest, stores)
    assert (train.label_counts, val.label_counts, train.options.max_side) == ((3, 2), (1, 1), 40)
    assert train.classes == val.classes == ("ant", "bee")
    assert "5 images in 2 classes" in result.stdout and "1 left out" in result.stdout
    assert "6/6" in result.stderr and "images/s" in result.stderr


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_says_what_is_missing(tmp_path: Path, name: str) -> None:
    (tmp_path / "train").mkdir()
    script = REPOSITORY / "scripts" / name
    result = subprocess.run([script, tmp_path, tmp_path / "out"], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr == f"error: there is no folder {tmp_path}/val; SOURCE must hold train and val\n"
    result = subprocess.run([script, tmp_path], capture_output=True, text=True)
    assert result.returncode == 2 and f"{name} SOURCE OUT_DIR [options]" in result.stderr


@pytest.mark.timeout(180)
def test_a_store_is_adopted_and_verified(start: Start, tmp_path: Path) -> None:
    write_tree(tmp_path / "images")
    store = tmp_path / "s.beton"
    write_store(list_images(tmp_path / "images"), store, workers=1)
    (tmp_path / "s.beton.json").unlink()
    refused = start("verify", store)
    assert f"`python -m dataprep adopt {store}`" in refused.communicate()[1] and refused.returncode == 2
    adopted = start("adopt", store, "--workers", 1)
    assert (
        adopted.communicate()[0] == f"adopted 6 images with labels from 0 to 1 (field label) in {store}; 0 left out\n"
    )
    verified = start("verify", store, "--workers", 1)
    said, notes = verified.communicate()
    assert "is whole: every image decodes, and none was compared" in said and "was adopted" in notes


@pytest.mark.timeout(180)
@every_kind
def test_deep_images_are_converted_by_the_range_that_is_given(start: Start, tmp_path: Path, kind: Kind) -> None:
    (tmp_path / "images").mkdir()
    values = np.linspace(-1000, 3000, 40 * 60).reshape(40, 60, 1).astype(np.int16)
    (tmp_path / "images" / "a.tif").write_bytes(tiff(values, 1))
    out = tmp_path / kind.name
    process = start(kind.command, tmp_path / "images", out, "--workers", 1)
    errors = process.communicate()[1]
    assert (
        process.returncode == 2
        and "a sign (-1000 to 3000); say what is black and white with --range LOW,HIGH" in last_line(errors)
    )
    process = start(kind.command, tmp_path / "images", out, "--range=-1000,3000", "--max-pixels", 2400)
    assert process.communicate()[0].startswith("wrote 1 images") and process.returncode == 0
    options = read_manifest(out).options
    assert (options.range, options.max_pixels) == (ValueRange(-1000, 3000, given=True), 2400)
    process = start("verify", out)
    assert "1 are what their source gives" in process.communicate()[0] and process.returncode == 0
