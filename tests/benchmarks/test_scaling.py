"""Processes train together, and their rates are put in relation to one process's."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from dataprep.errors import UserError
from tests.two_processes import on_two_processes
from vicregl_fast.bench import main
from vicregl_fast.benchmarks import parts, scaling, scaling_process
from vicregl_fast.benchmarks.measurements import Measurement, read_measurements
from vicregl_fast.benchmarks.options import bench_parser
from vicregl_fast.benchmarks.scaling import ScalingBench, bench_scaling, counts_here
from vicregl_fast.benchmarks.scaling_process import measure
from vicregl_fast.config import RunConfig, parse_config
from vicregl_fast.devices import choose_device
from vicregl_fast.losses.batch_statistics import choose_form, cost
from vicregl_fast.losses.plan import plan_directions
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.training.processes import Processes, join_processes
from vicregl_fast.training.step import TrainingStep

TINY = (
    "--model.backbone=test_resnet --model.expander=16 --model.projector=8 --views.large_size=64 --batch_size=8 "
    "--loss.gamma_large=2 --train.precision=fp32"
)


def recipe(more: str = "") -> RunConfig:
    return parse_config([*TINY.split(), *more.split()])


def test_counts_are_powers_of_two() -> None:
    assert [counts_here(limit) for limit in (1, 2, 3, 8)] == [[1], [1, 2], [1, 2], [1, 2, 4, 8]]


def test_rows_are_ratios_to_one_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One process takes 8 images in 1 s, two take 16 in 1.25 s or 8 in 0.8 s; three cannot share 8."""
    took = {(1, 8): 1.0, (2, 16): 1.25, (2, 8): 0.8, (3, 24): 2.0}
    started: list[tuple[int, int, str]] = []

    def torchrun(bench: ScalingBench, world: int, arguments: list[str]) -> None:
        given = dict(zip(arguments[::2], arguments[1::2], strict=True))
        batch = parse_config(["--config", given["--config"]]).batch_size
        started.append((world, batch, given["--device"]))
        sent = {"gradient_bytes": 100 * world, "loss_bytes": 7}
        measured = {"seconds": [took[world, batch]] * 3, **sent, "peak_memory": None, "peak_host_memory": 3 << 30}
        Path(given["--out"]).write_text(json.dumps(measured))

    monkeypatch.setattr(scaling, "_torchrun", torchrun)
    rows = {row.name: row for row in bench_scaling(ScalingBench(recipe(), "cpu", [2, 3, 1, 2], steps=2, repeats=3))}
    assert started == [(1, 8, "cpu"), (2, 16, "cpu"), (3, 24, "cpu"), (2, 8, "cpu")]
    expected = {
        "1.images_per_second": 8, "1.efficiency": 1, "2.images_per_second": 12.8, "2.efficiency": 0.8,
        "1.fixed_global.images_per_second": 8, "1.fixed_global.efficiency": 1, "2.gradient_bytes": 200,
        "2.loss_bytes": 7, "2.peak_host_memory": 3, "2.fixed_global.images_per_second": 10,
        "2.fixed_global.efficiency": 10 / 16, "3.efficiency": 0.5,
    }  # fmt: skip
    for name, value in expected.items():
        assert rows[f"scaling.{name}"].value == pytest.approx(value), name
    assert rows["scaling.2.images_per_second"].n == 3 and "scaling.3.fixed_global.efficiency" not in rows
    said = capsys.readouterr().err
    assert "joined by gloo" in said and "3 processes cannot share a batch of 8" in said


def _measured(folder: Path) -> None:
    processes = join_processes("cpu")
    found = measure(recipe(), processes, steps=2, repeats=3)
    if processes.leads:
        (folder / "found.json").write_text(json.dumps(found))
    processes.leave()


@pytest.mark.slow
def test_what_two_processes_send(tmp_path: Path) -> None:
    """Gradients by a ring: all of them once; the loss what its table of forms says."""
    on_two_processes(_measured, tmp_path)
    found = json.loads((tmp_path / "found.json").read_text())
    config = recipe()
    network = VICRegLNetwork(config.model, True, True)
    assert found["gradient_bytes"] == 4 * sum(parameter.numel() for parameter in network.parameters())
    assert len(found["seconds"]) == 3 and min(found["seconds"]) > 0
    plan = plan_directions(config.loss, 2)
    slots = 2 * 2 * (len(plan.location) + len(plan.feature))  # both sides of 2 matches in each direction
    counted = sum(cost(choose_form(s, 4, d, 2), s, 4, d, 2).bytes_moved for s, d in ((2, 16), (slots, 8)))
    assert counted <= found["loss_bytes"] <= 1.2 * counted + 200  # sums of means besides


@pytest.mark.slow  # three starts of torchrun
def test_the_command_with_two_gloo_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "scaling.json"
    options = f"scaling --processes 1 2 --batch 8 --steps 1 --repeats 2 --device cpu --json {out} -- {TINY}"
    main([word for word in options.split() if word != "--batch_size=8"])
    rows: dict[str, Measurement] = {row.name: row for row in read_measurements(out)}
    one, two = rows["scaling.1.images_per_second"], rows["scaling.2.images_per_second"]
    assert rows["scaling.2.efficiency"].value == pytest.approx(two.value / (2 * one.value))
    assert {"scaling.2.fixed_global.efficiency", "scaling.2.gradient_bytes"} < set(rows)
    assert rows["scaling.1.gradient_bytes"].value == 0 and rows["scaling.2.loss_bytes"].value > 0
    environment = json.loads(out.read_text())["environment"]
    assert environment["device"] == "cpu" and environment["backend"] == "gloo"
    assert environment["processes"] == "CPU processes (gloo)" and environment["threads_per_process"] >= 1
    assert "scaling.2.efficiency" in capsys.readouterr().out


def test_a_cpu_is_not_filled_with_processes_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(64)))
    options = bench_parser(None).parse_args(["scaling", "--batch", "8", "--device", "cpu"])
    options.device = choose_device("cpu")
    assert parts._scaling_bench(options).processes == [1, 2] and parts._scaling_bench(options).threads == 32


def test_the_scaler_is_settled_before_steps_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps skip their update; it is the third after which timing begins."""
    finite = [torch.tensor(each) for each in (False, False, True)]
    monkeypatch.setattr(TrainingStep, "__call__", lambda *given: SimpleNamespace(finite=finite.pop(0)))
    left: list[int] = []

    def timing(*given: object, calls: int) -> list[float]:
        left.append(len(finite))
        return [1.0]

    monkeypatch.setattr(scaling_process, "time_calls", timing)
    monkeypatch.setattr(scaling_process, "loss_bytes", lambda learner, batch: 0)
    measure(recipe(), Processes(0, 1, choose_device("cpu")), steps=1, repeats=1)
    assert left == [0]


def test_the_reason_is_what_was_raised() -> None:
    traceback = "[rank0]: Traceback (most recent call last):\n[rank0]:   raise ValueError(\n"
    said = traceback + "[rank0]: torch.OutOfMemoryError: CUDA out of memory\nE1126 torchrun: see above\n"
    assert scaling._reason(said) == "OutOfMemoryError: CUDA out of memory"
    assert scaling._reason("error: timm has no model\n" + said) == "timm has no model"
    assert scaling._reason("killed\n\n") == "killed" and scaling._reason("") == "they said nothing"


def test_one_image_for_a_process_is_refused_before_any_starts() -> None:
    with pytest.raises(UserError, match="leaves under 2 images a process"):
        list(bench_scaling(ScalingBench(recipe("--batch_size=1"), "cpu", [1], steps=1, repeats=1)))


def test_what_was_started_ends_with_the_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for torchrun says that it has been asked to end."""
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    script = tmp_path / "torchrun.sh"
    script.write_text(f"#!/bin/sh\ntrap 'touch {ended}; exit 1' TERM\ntouch {begun}\nwhile :; do sleep 0.1; done\n")
    script.chmod(0o755)

    def stop(*given: object) -> None:
        while not begun.exists():
            time.sleep(0.05)
        raise KeyboardInterrupt

    monkeypatch.setattr(scaling.sys, "executable", str(script))
    monkeypatch.setattr(scaling.subprocess.Popen, "communicate", stop)
    with pytest.raises(KeyboardInterrupt):
        scaling._torchrun(ScalingBench(recipe(), "cpu", [1], steps=1, repeats=1), 1, [])
    assert ended.exists()


@pytest.mark.slow
def test_a_failing_process_says_why() -> None:
    bench = ScalingBench(recipe("--model.backbone=resnet51"), "cpu", [1], steps=1, repeats=1)
    with pytest.raises(UserError, match=r"^1 processes of training failed: timm has no model named 'resnet51'"):
        list(bench_scaling(bench))


def test_recorded_steps_are_not_compared_with_launched_ones() -> None:
    bench = ScalingBench(recipe("--train.cuda_graphs=true"), "cuda", [1, 2], steps=1, repeats=1)
    with pytest.raises(UserError, match=r"leave train\.cuda_graphs at false"):
        next(bench_scaling(bench))
