"""The series over numbers of GPUs, tried with processes of a CPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vicregl_fast.benchmarks.measurements import Measurement, read_measurements, write_measurements

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_gpus.sh"
TINY = "--model.backbone=test_resnet --model.expander=16 --model.projector=8 --views.large_size=64"


def series(*arguments: str, python: str = sys.executable) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHON": python}
    return subprocess.run(["bash", str(SCRIPT), *arguments], capture_output=True, text=True, env=environment)


@pytest.mark.slow  # torchrun starts three times
def test_one_table_for_each_number(tmp_path: Path) -> None:
    options = f"--device cpu --batch 4 --steps 1 --repeats 1 -- {TINY}"
    done = series(str(tmp_path), *options.split())
    assert done.returncode == 0, done.stderr
    one, two = done.stdout.split("1 CPU processes\n")[1].split("2 CPU processes\n")
    assert "scaling.1.images_per_second" in one and "scaling.2." not in one
    assert "scaling.2.efficiency" in two and "scaling.2.fixed_global.efficiency" in two and "scaling.1." not in two
    assert {"scaling.1.efficiency", "scaling.2.efficiency"} < {
        row.name for row in read_measurements(tmp_path / "scaling.json")
    }
    assert (tmp_path / "report.md").exists() and (tmp_path / "scaling.png").exists()


@pytest.mark.slow
def test_files_are_named_from_where_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.yaml").write_text("model:\n  backbone: resnet51\n")
    monkeypatch.chdir(tmp_path)
    options = "--device cpu --config own.yaml --batch 4 --steps 1 --repeats 1 --processes 1"
    done = series("out", *options.split())
    assert done.returncode == 2 and "no model named 'resnet51'" in done.stderr, done.stderr


def test_what_was_measured_before_a_failure_is_shown(tmp_path: Path) -> None:
    """One process is measured and two fail; the figures of an earlier run are neither lost nor shown."""
    earlier, now = tmp_path / "scaling.json", tmp_path / "now.json"
    write_measurements(earlier, {}, [Measurement.of("scaling.1.images_per_second", [111.0], "images/s")])
    write_measurements(now, {"complete": False}, [Measurement.of("scaling.1.images_per_second", [55.0], "images/s")])
    stub = tmp_path / "python.sh"
    fails = f"cp {now} {tmp_path}/scaling.partial.json; exit 2"
    stub.write_text(f'#!/bin/sh\ncase "$*" in *"bench scaling"*) {fails};; esac\nexec {sys.executable} "$@"\n')
    stub.chmod(0o755)
    done = series(str(tmp_path), "--device", "cpu", python=str(stub))
    assert done.returncode == 2 and "the measurement failed" in done.stderr, done.stderr
    assert "1 CPU processes" in done.stdout and "55 images/s" in done.stdout and "111" not in done.stdout
    assert "2 CPU processes" not in done.stdout and read_measurements(earlier)[0].value == 111.0


def test_bad_options_say_how(tmp_path: Path) -> None:
    done = series()
    assert done.returncode == 2 and "usage: " in done.stderr
    done = series(str(tmp_path), "--device", "cpu", "--batch", "none")
    assert done.returncode == 2 and "--batch" in done.stderr and "the measurement failed" in done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    done = series(str(tmp_path))
    assert done.returncode == 3 and "no GPU" in done.stderr
