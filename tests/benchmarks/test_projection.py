"""A projection follows its formulas, and refuses figures of another network."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from dataprep.errors import UserError
from vicregl_fast.bench import main
from vicregl_fast.benchmarks.measurements import Measurement, read_measurements, write_measurements
from vicregl_fast.benchmarks.projection import Cluster, Parts, Run, project
from vicregl_fast.benchmarks.projection_parts import measured_parts, read_parts
from vicregl_fast.benchmarks.scaling_bytes import RecipeBytes, bytes_of_gradients
from vicregl_fast.config import RunConfig, parse_config
from vicregl_fast.environment import describe_environment
from vicregl_fast.training.learner import build_learner
from vicregl_fast.training.processes import Processes

CLUSTER = Cluster(gpus_per_node=8, inside=100.0, between=10.0)


class Sent(RecipeBytes):
    """W hundredths of a GB for the loss on W GPUs."""

    def loss(self, world: int) -> float:
        return world * 1e7


def projected(gpus: int, parts: Parts, cluster: Cluster = CLUSTER) -> dict[str, float]:
    sent = Sent(RunConfig(), 250_000_000, 160, 2, gradients=10**9)
    rows = list(project(parts, sent, cluster, Run(images=100_000, epochs=10, batch_size=1600), gpus))
    assert all(row.name.startswith("projection.") for row in rows)
    return {row.name.removeprefix(f"projection.{gpus}_gpus."): row.value for row in rows}


def test_a_node_by_hand() -> None:
    """8 GPUs of 1000 images/s: 0.2 s of arithmetic, 2 x 7/8 GB at 100 GB/s, 0.08 GB for the loss."""
    values = projected(8, Parts(1000.0, 0.05))
    assert values["compute"] == pytest.approx(0.2)
    assert values["gradients"] == pytest.approx(0.0175)
    assert values["loss"] == pytest.approx(0.0008)
    assert values["no_overlap.step"] == pytest.approx(0.2183)
    assert values["full_overlap.step"] == pytest.approx(0.2 + 0.0008 + (0.0175 - 0.05 * 0.2))
    assert values["no_overlap.images_per_second"] == pytest.approx(1600 / 0.2183)
    assert values["no_overlap.compute_share"] == pytest.approx(0.2 / 0.2183)
    assert values["no_overlap.hours"] == pytest.approx(10 * 62 * 0.2183 / 3600)


def test_nodes_are_joined_by_the_slower_link_and_gradients_hide_behind_the_backward_pass() -> None:
    values = projected(16, Parts(1000.0, 0.5))
    assert values["gradients"] == pytest.approx(2 * 15 / 16 / 10) and values["loss"] == pytest.approx(0.016)
    assert values["no_overlap.step"] == pytest.approx(0.1 + 0.016 + 0.1875)
    assert values["full_overlap.step"] == pytest.approx(0.1 + 0.016 + 0.1875 - 0.05)
    assert projected(16, Parts(100.0, 0.5))["full_overlap.step"] == pytest.approx(1.0 + 0.016)  # all of it is hidden


def test_a_slow_loader_slows_the_step() -> None:
    assert projected(8, Parts(1000.0, 1.0, 0.5))["full_overlap.step"] == pytest.approx(0.4 + 0.0008)


def test_the_cores_of_a_machine_load_for_all_its_gpus() -> None:
    """16 cores at 8 ms an image load 2000 images/s: enough for one GPU of 1000, a quarter of it for each of 8."""
    cluster, parts = Cluster(8, 100.0, 10.0, cores=16), Parts(1000.0, 1.0, 1.0, loading_cost=8.0)
    assert projected(1, parts, cluster)["loading"] == pytest.approx(0)
    for gpus in (8, 16):
        assert projected(gpus, parts, cluster)["loading"] == pytest.approx(1600 / gpus * (1 / 250 - 1 / 1000))
    assert projected(8, parts, cluster)["full_overlap.step"] == pytest.approx(0.8 + 0.0008)
    slower = projected(8, Parts(1000.0, 1.0, 0.1, 8.0), cluster)
    assert slower["loading"] == pytest.approx(2.0 - 0.2)  # the measured ratio
    assert projected(8, parts)["loading"] == pytest.approx(0)  # the cores are not known


def test_one_gpu_sends_no_gradients() -> None:
    assert projected(1, Parts(1000.0, 0.5))["gradients"] == 0


def test_what_the_released_recipe_sends() -> None:
    """The table in losses/batch_statistics.py: 130 MB for the global criterion and 41 MB for the local one."""
    sent = RecipeBytes.of(RunConfig())
    assert sent.slots == 160 and sent.views == 2
    assert sent.loss(32) == pytest.approx(130e6 + 41e6, rel=0.01) and sent.loss(1) == 0
    assert sent.gradients == 4 * sent.parameters
    alone = RecipeBytes.of(parse_config(["--loss.alpha=1", "--train.allreduce=bf16"]))
    assert alone.slots == 0 and alone.gradients == 2 * alone.parameters
    assert alone.loss(32) == pytest.approx(130e6, rel=0.01)


@pytest.mark.parametrize("backbone", ["test_resnet", "mobilenetv3_small_050"])
def test_gradients_are_of_what_training_learns(backbone: str) -> None:
    """The classifier's layers of a mobilenetv3 are part of its network, and no gradient reaches them."""
    given = f"--model.backbone={backbone} --model.expander=16 --model.projector=8 --views.large_size=64 --batch_size=2"
    config = parse_config(given.split())
    sent = RecipeBytes.of(config)
    network = build_learner(config, 0, Processes(0, 1, torch.device("cpu"))).network
    assert sent.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert sent.gradients == bytes_of_gradients(network, "fp32") == 2 * bytes_of_gradients(network, "bf16")
    assert (sent.gradients < 4 * sent.parameters) == (backbone != "test_resnet")


def test_parts_are_taken_from_rows() -> None:
    given = {
        "step.images_per_second": 500.0,
        "step.backward_share": 0.6,
        "step.parameters": 7.0,
        "train.real_over_synthetic": 1.03,
    }
    rows = {name: Measurement.of(name, [value], "") for name, value in given.items()}
    assert measured_parts(rows, 7) == Parts(500.0, 0.6, 1.0)
    launched = Measurement.of("step.launched_images_per_second", [400.0], "images/s")  # as steps of several GPUs are
    assert measured_parts({**rows, launched.name: launched}, 7) == Parts(400.0, 0.6, 1.0)
    rows["train.real_over_synthetic"] = Measurement.ratio("train.real_over_synthetic", 9, 10)
    assert measured_parts(rows, 7) == Parts(500.0, 0.6, 0.9)
    for cost, known in ((2.5, 2.5), (-0.1, None)):
        rows["train.loader_cpu_ms_per_image"] = Measurement.of("train.loader_cpu_ms_per_image", [cost], "ms")
        assert measured_parts(rows, 7) == Parts(500.0, 0.6, 0.9, known)


def _step_file(path: Path, parameters: int, **more: object) -> None:
    rows = [
        Measurement.of("step.images_per_second", [1000.0], "images/s"),
        Measurement.of("step.backward_share", [0.6], "x"),
        Measurement.of("step.parameters", [parameters], ""),
    ]
    environment = describe_environment(torch.device("cpu"), "vicregl_fast.bench", ["step"])
    write_measurements(path, {**environment, **more}, rows)


TINY = "--model.backbone=test_resnet --model.expander=16 --model.projector=8 --batch_size=64 --epochs=100"


def test_the_command_says_what_it_assumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step, out = tmp_path / "step.json", tmp_path / "projection.json"
    _step_file(step, RecipeBytes.of(parse_config(TINY.split())).parameters)
    main(f"projection --measured {step} --gpus 16 --images 6400 --json {out} -- {TINY}".split())
    rows = {row.name: row.value for row in read_measurements(out)}
    assert all(name.startswith("projection.") for name in rows)
    assert "projection.assumed.cores_per_node" not in rows
    assert rows["projection.assumed.between_nodes"] == 25 and rows["projection.assumed.epochs"] == 100
    step_seconds = rows["projection.16_gpus.no_overlap.step"]
    assert rows["projection.16_gpus.no_overlap.hours"] == pytest.approx(100 * 100 * step_seconds / 3600)
    environment = json.loads(out.read_text())["environment"]
    assert environment["measured"][0]["command"] == "python -m vicregl_fast.bench step"
    assert "none of these figures is measured" in capsys.readouterr().err


def test_the_command_takes_the_cores_of_where_loading_was_measured(tmp_path: Path) -> None:
    step, loop, out = tmp_path / "step.json", tmp_path / "loop.json", tmp_path / "projection.json"
    _step_file(step, RecipeBytes.of(parse_config(TINY.split())).parameters)
    write_measurements(loop, {"cores": 12}, [Measurement.of("train.loader_cpu_ms_per_image", [3.0], "ms")])
    for more, cores in (("", 12), ("--cores_per_node 96", 96)):
        main(f"projection --measured {step} {loop} --gpus 16 --json {out} {more} -- {TINY}".split())
        rows = {row.name.removeprefix("projection.assumed."): row.value for row in read_measurements(out)}
        assert rows["cores_per_node"] == cores
        assert rows["loaded_for_a_gpu_of_a_full_node"] == pytest.approx(cores / 8 / 0.003)


@pytest.mark.parametrize(
    ("parameters", "options", "reason"),
    [
        (5, "", "the measured network has 5 parameters"),
        (None, "--between 0", "--between 0 are GB/s, and must be above 0"),
        (None, "--between nan", "--between nan are GB/s, and must be above 0"),
        (None, "--images 60", "an epoch of 60 images has no batch of 64"),
        (None, "--gpus 48", "48 GPUs cannot share a batch of 64"),
        (None, "--measured missing.json", "missing.json does not hold measurements"),
    ],
)
def test_mistakes_are_one_sentence(
    parameters: int | None, options: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step = tmp_path / "step.json"
    _step_file(step, parameters or RecipeBytes.of(parse_config(TINY.split())).parameters)
    with pytest.raises(SystemExit) as stopped:
        main(f"projection --measured {step} {options} -- {TINY}".split())
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and reason in error and "Traceback" not in error


def test_parts_are_of_one_recipe_one_device_and_one_measurement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = parse_config(TINY.split())
    parameters = RecipeBytes.of(config).parameters
    step, loop = tmp_path / "step.json", tmp_path / "loop.json"
    _step_file(step, parameters, recipe=json.loads(json.dumps(asdict(config))))
    loading = [Measurement.of("train.real_over_synthetic", [0.9], "x")]
    write_measurements(loop, {"device": "cpu"}, loading)
    parts, _ = read_parts([step, loop], config, parameters)
    assert parts == Parts(1000.0, 0.6, 0.9)
    assert capsys.readouterr().err.count(f"{loop} does not say of which recipe it is") == 1
    with pytest.raises(UserError, match=r"both have the row step\.images_per_second"):
        read_parts([step, step], config, parameters)
    smaller = parse_config([*TINY.split(), "--views.large_size=96"])
    with pytest.raises(UserError, match=r"measured with views\.large_size 224, and the recipe has 96"):
        read_parts([step], smaller, parameters)
    write_measurements(loop, {"device": "NVIDIA H200"}, loading)
    with pytest.raises(UserError, match=r"different devices: cpu \(.*step\.json\), NVIDIA H200 \(.*loop\.json\)"):
        read_parts([step, loop], config, parameters)
