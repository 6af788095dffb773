"""The check of a GPU machine, run whole at tiny sizes on a CPU."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vicregl_fast.benchmarks.measurements import Measurement, read_measurements, write_measurements

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "gpu_check.sh"


def check(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        timeout=1190,
        env={**os.environ, "PYTHON": sys.executable, **environment},
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)  # it takes some 2 minutes on two free cores, and much longer on a busy machine
def test_every_part_runs_and_writes(tmp_path: Path) -> None:
    done = check(str(tmp_path), "--device", "cpu")
    assert done.returncode == 0, done.stdout + done.stderr
    states = dict(line.split(maxsplit=1) for line in (tmp_path / "parts.txt").read_text().splitlines())
    measuring = (
        "copy", "augment", "loss", "optimizer", "steps", "train", "loop", "projection", "loader", "scaling", "compiled",
    )  # fmt: skip
    assert list(states) == ["kernels", *measuring, "training"]
    assert all(state.startswith("ok, ") for state in states.values()), states
    for part in measuring:
        rows = read_measurements(tmp_path / f"{part}.json")
        assert rows and all(row.name in done.stdout for row in rows)
    assert "step.fp32.channels_last.compiled.images_per_second" in done.stdout
    assert "run.images_per_second" in done.stdout and "train.real_over_synthetic" in done.stdout
    page = (tmp_path / "report.md").read_text()
    assert "| bench scaling | `scaling.2.efficiency` |" in page and "](loader_engines.png)" in page


@pytest.mark.slow
def test_a_failing_part_and_a_missing_package_stop_nothing(tmp_path: Path) -> None:
    """Without pytest and ffcv in sight, the parts that need them are named; a broken cv2 fails one part alone."""
    stubs = tmp_path / "stubs"
    stubs.mkdir()
    (stubs / "sitecustomize.py").write_text(
        "import sys\nfor name in ('ffcv', 'pytest'):\n    sys.modules[name] = None\n"
        "import importlib.util as u\nfound = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name in ('ffcv', 'pytest') else found(name, package)\n"
    )
    (stubs / "cv2.py").write_text("raise ImportError('broken on purpose')\n")
    out = tmp_path / "out"
    done = check(str(out), "--device", "cpu", PYTHONPATH=str(stubs))
    states = dict(line.split(maxsplit=1) for line in (out / "parts.txt").read_text().splitlines())
    assert states["kernels"] == states["training"] == "skipped: pytest is not installed"
    assert states["train"] == states["loop"] == "skipped: ffcv is not installed"
    assert states["steps"].startswith("failed with 1") and "broken on purpose" in states["steps"]
    assert all(states[part].startswith("ok, ") for part in ("copy", "loss", "optimizer")), states
    assert done.returncode == 1 and "loss.global" in done.stdout


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_the_parts_share_the_time_that_there_is(device: str) -> None:
    text = SCRIPT.read_text()
    on_gpu, on_cpu = text.split("\nif [ $device = cuda ]; then\n")[-1].split("\nelse\n")
    seconds = re.findall(r"^ +.*\b(?:part|gpu_tests) \w+ (\d+) ", on_gpu if device == "cuda" else on_cpu, re.MULTILINE)
    assert len(seconds) >= 10 and sum(map(int, seconds)) <= 585


@pytest.mark.slow
def test_chosen_parts_run_alone(tmp_path: Path) -> None:
    done = check(str(tmp_path), "--device", "cpu", "--only", " copy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "parts.txt").read_text().startswith("copy ") and "copy.device" in done.stdout
    assert len((tmp_path / "parts.txt").read_text().splitlines()) == 1


def test_a_failing_part_leaves_the_figures_of_an_earlier_run(tmp_path: Path) -> None:
    earlier = tmp_path / "copy.json"
    write_measurements(earlier, {}, [Measurement.of("copy.device", [123.0], "GB/s")])
    (tmp_path / "parts.txt").write_text("copy ok\n")
    stub = tmp_path / "python.sh"
    stub.write_text(f'#!/bin/sh\ncase "$*" in *"bench copy"*) exit 5;; esac\nexec {sys.executable} "$@"\n')
    stub.chmod(0o755)
    done = check(str(tmp_path), "--device", "cpu", "--only", "copy", PYTHON=str(stub))
    assert done.returncode == 1 and "failed with 5" in (tmp_path / "parts.txt").read_text()
    assert read_measurements(earlier)[0].value == 123.0 and "123" not in done.stdout
    assert (tmp_path / "parts.earlier.txt").read_text() == "copy ok\n"


@pytest.mark.parametrize("part", ["loops", "convnext"])
def test_a_part_that_is_not_there_is_refused(part: str, tmp_path: Path) -> None:
    done = check(str(tmp_path / "out"), "--device", "cpu", "--only", f"copy,{part}")
    assert done.returncode == 2 and not (tmp_path / "out").exists()
    assert re.search(rf"there is no part {part} on the device cpu; the parts are .*copy.* loop .*training", done.stderr)


@pytest.mark.slow
def test_given_images_are_loaded_by_a_part_alone(image_folder: Path, tmp_path: Path) -> None:
    done = check(str(tmp_path), "--device", "cpu", "--images", str(image_folder), "--only", "loader")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "48 images" in (tmp_path / "loader.log").read_text() and "loader.ffcv.views" in done.stdout


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    done = check(str(tmp_path))
    assert done.returncode == 3 and "no GPU" in done.stderr


@pytest.mark.parametrize(
    "arguments", [(), ("--device",), ("x", "--device", "tpu"), ("x", "--wrong"), ("x", "--images"), ("x", "y")]
)
def test_bad_options_say_how(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = check(*(str(tmp_path / a) if a == "x" else a for a in arguments))
    assert done.returncode == 2 and "usage: " in done.stderr
