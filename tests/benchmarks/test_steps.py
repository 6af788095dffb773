"""The benchmark of a step takes the step of its recipe, and its supervised twin really is supervised."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from dataprep.errors import UserError
from vicregl_fast.bench import main
from vicregl_fast.benchmarks import step_parts, step_variants, steps
from vicregl_fast.benchmarks.measurements import Measurement, read_measurements
from vicregl_fast.benchmarks.prepared_step import PreparedStep, prepare_step
from vicregl_fast.benchmarks.step_arithmetic import bench_arithmetic
from vicregl_fast.benchmarks.step_parts import PARTS, bench_parts
from vicregl_fast.benchmarks.step_variants import StepVariant, all_variants, can_be_recorded, default_precisions
from vicregl_fast.benchmarks.steps import bench_beside_supervised, bench_steps
from vicregl_fast.benchmarks.supervised import CLASSES, SupervisedStep
from vicregl_fast.config import RunConfig, parse_config
from vicregl_fast.training.arithmetic import forward_flops
from vicregl_fast.training.stopwatch import Clock

CPU = torch.device("cpu")
PLAIN, LAST = StepVariant("fp32", False, False), StepVariant("fp32", True, False)
TINY = "--model.backbone=test_resnet --model.expander=16 --model.projector=8 --views.large_size=64 --batch_size=4"


def recipe(more: str = "") -> RunConfig:
    return parse_config([*TINY.split(), *more.split()])


@pytest.fixture(scope="module")
def prepared() -> PreparedStep:
    return prepare_step(recipe(), LAST, CPU)


def by_name(rows: object) -> dict[str, Measurement]:
    return {row.name: row for row in rows}  # type: ignore[attr-defined]


def test_names_of_variants() -> None:
    assert [variant.name for variant in all_variants(["fp32", "bf16"], compiled="also", recorded=False)] == [
        "fp32", "fp32.channels_last", "bf16", "bf16.channels_last", "fp32.channels_last.compiled",
        "bf16.channels_last.compiled",
    ]  # fmt: skip
    assert [variant.name for variant in all_variants(["bf16"], compiled="also", recorded=True)] == [
        "bf16", "bf16.channels_last", "bf16.channels_last.recorded", "bf16.channels_last.compiled",
        "bf16.channels_last.compiled.recorded",
    ]  # fmt: skip
    gpu = torch.device("cuda", 0)
    assert can_be_recorded(recipe(), gpu) and not can_be_recorded(recipe(), CPU)
    assert not can_be_recorded(recipe("--train.chunk=2"), gpu)
    assert not can_be_recorded(recipe("--train.checkpoint_activations=true"), gpu)


def test_a_variant_keeps_of_a_recipe_what_it_allows() -> None:
    graphs = recipe("--train.compile=true --train.cuda_graphs=true --train.clip_norm=2")
    eager, compiled = (StepVariant("bf16", True, on).applied_to(graphs).train for on in (False, True))
    assert (eager.compile, eager.cuda_graphs, eager.precision, eager.clip_norm) == (False, False, "bf16", 2)
    assert compiled.compile and not compiled.cuda_graphs
    assert StepVariant("bf16", True, False, recorded=True).applied_to(recipe()).train.cuda_graphs
    recomputing = recipe("--train.checkpoint_activations=true")
    assert LAST.applied_to(recomputing).train.checkpoint_activations
    assert not StepVariant("fp32", True, True).applied_to(recomputing).train.checkpoint_activations


def test_rows_of_steps() -> None:
    rows = by_name(bench_steps(recipe(), CPU, [PLAIN, LAST], repeats=2))
    plain, last = (rows[f"step.{variant.name}.images_per_second"] for variant in (PLAIN, LAST))
    assert rows["step.fp32.channels_last_over_fp32"].value == last.value / plain.value
    assert rows["step.images_per_second"].value == max(last.value, plain.value) and plain.n == 2
    assert rows["step.launched_images_per_second"].value == rows["step.images_per_second"].value
    assert {f"step.{part}_share" for part in PARTS} <= set(rows)
    share = rows["step.augmentation"].value / (4 / rows["step.images_per_second"].value)
    assert rows["step.augmentation_share"].value == pytest.approx(share) and rows["step.augmentation"].n == 2
    assert {"step.flop_utilisation", "step.supervised_images_per_second", "step.over_half_supervised"} < set(rows)
    assert rows["step.tflops"].value == pytest.approx(
        rows["step.flops"].value / 4 * max(last.value, plain.value) / 1e12
    )


def test_a_variant_that_does_not_fit_costs_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without(*lacking: StepVariant):  # type: ignore[no-untyped-def]
        def prepare(config: RunConfig, variant: StepVariant, device: torch.device) -> PreparedStep:
            if variant in lacking:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return prepare_step(config, variant, device)

        return prepare

    monkeypatch.setattr(steps, "prepare_step", without(PLAIN))
    rows = by_name(bench_steps(recipe(), CPU, [PLAIN, LAST], repeats=1))
    assert rows["step.images_per_second"].value == rows["step.fp32.channels_last.images_per_second"].value
    assert not [name for name in rows if name.startswith("step.fp32.images") or "_over_fp32" in name]
    assert "step.fp32 is left out: the GPU's memory is too small for 4 images" in capsys.readouterr().err
    monkeypatch.setattr(steps, "prepare_step", without(PLAIN, LAST))
    with pytest.raises(UserError, match="no step fits into the GPU's memory"):
        list(bench_steps(recipe(), CPU, [PLAIN, LAST], repeats=1))


def test_recorded_steps_are_beside_launched_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They come last, and the first that is refused is the last one; here their times are made up."""
    recorded, refused = replace(LAST, recorded=True), replace(PLAIN, recorded=True)
    measured: list[StepVariant] = []
    time_calls = steps.time_calls

    def timed(prepared: object, *given: object, **options: object) -> list[float]:
        if isinstance(prepared, PreparedStep):
            measured.append(prepared.variant)
            if prepared.variant == refused:
                raise UserError("a training step cannot be recorded as a CUDA graph (as a test wants)")
            if prepared.variant == recorded:
                return [1e-6]
        return time_calls(prepared, *given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(steps, "time_calls", timed)
    rows = by_name(bench_steps(recipe(), CPU, [recorded, LAST, refused, recorded], repeats=1))
    assert measured == [LAST, recorded, refused]
    assert (
        rows["step.images_per_second"].value == 4e6 == rows["step.fp32.channels_last.recorded.images_per_second"].value
    )
    launched = rows["step.launched_images_per_second"].value
    assert launched == rows["step.fp32.channels_last.images_per_second"].value < 4e6
    assert rows["step.tflops"].value == pytest.approx(rows["step.flops"].value / 4 * launched / 1e12)
    assert rows["step.augmentation_share"].value == pytest.approx(rows["step.augmentation"].value * launched / 4)
    assert "step.fp32.recorded is left out: a training step cannot be recorded" in capsys.readouterr().err


def test_no_other_is_recorded_after_one_without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = [replace(variant, recorded=True) for variant in (PLAIN, LAST)]
    tried: list[StepVariant] = []

    def prepare(config: RunConfig, variant: StepVariant, device: torch.device) -> PreparedStep:
        tried.append(variant)
        if variant.recorded:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return prepare_step(config, variant, device)

    monkeypatch.setattr(steps, "prepare_step", prepare)
    rows = by_name(bench_steps(recipe(), CPU, [LAST, *recorded], repeats=1, parts=False))
    assert tried == [LAST, recorded[0]] and "step.images_per_second" in rows


def test_rates_alone() -> None:
    rows = by_name(bench_steps(recipe(), CPU, [LAST], repeats=1, parts=False))
    assert set(rows) - {"step.peak_host_memory"} == {
        "step.fp32.channels_last.images_per_second", "step.launched_images_per_second", "step.images_per_second",
    }  # fmt: skip


def test_formats_that_are_measured_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {"auto": "bf16", "fp16": "fp16"}
    monkeypatch.setattr(step_variants, "choose_precision", lambda name, device: SimpleNamespace(name=taken[name]))
    gpu = torch.device("cuda", 0)
    assert default_precisions("auto", gpu) == ["bf16", "fp16"] and default_precisions("auto", CPU) == ["bf16"]
    assert default_precisions("fp16", gpu) == ["fp16"]
    taken["auto"] = "fp16"  # as on a V100
    assert default_precisions("auto", gpu) == ["fp16"]


def test_the_network_is_the_recipes(prepared: PreparedStep) -> None:
    network = prepare_step(recipe("--optim.name=adamw --loss.alpha=1 --model.expander=24"), LAST, CPU)
    assert isinstance(network.learner.step.optimizer, torch.optim.AdamW)
    assert network.learner.network.projector is None and not network.batch.matches
    outputs = network.learner.network(network.batch.views)
    assert outputs.embeddings is not None and outputs.embeddings[0].shape == (4, 24)
    assert prepared.batch.views[0].shape == (4, 3, 64, 64) and prepared.batch.labels is None


def test_a_step_in_one_memory_format(prepared: PreparedStep) -> None:
    plain = prepare_step(recipe(), PLAIN, CPU)
    for step, layout in ((plain, torch.contiguous_format), (prepared, torch.channels_last)):
        weights = [p for p in step.learner.network.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1]
        assert weights and all(tensor.is_contiguous(memory_format=layout) for tensor in (*weights, *step.batch.views))


def test_shares_are_of_the_parts_and_sum_to_one(prepared: PreparedStep, monkeypatch: pytest.MonkeyPatch) -> None:
    class Told(Clock):
        def __init__(self, device: torch.device):
            pass

        def seconds(self) -> dict[str, float]:
            return {"seconds_forward": 0.3, "seconds_loss": 0.1, "seconds_backward": 0.5, "seconds_optimizer": 0.1}

    rows = by_name(bench_parts(prepared, CPU, repeats=1))
    assert sum(rows[f"step.{part}_share"].value for part in PARTS) == pytest.approx(1)
    assert all(rows[f"step.{part}"].value > 0 for part in PARTS)
    monkeypatch.setattr(step_parts, "Stopwatch", Told)
    rows = by_name(bench_parts(prepared, CPU, repeats=3))
    assert [rows[f"step.{part}_share"].value for part in PARTS] == pytest.approx([0.3, 0.1, 0.5, 0.1])
    assert rows["step.backward"].n == 3 and rows["step.backward"].value == 0.5


def test_operations_and_their_share(prepared: PreparedStep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vicregl_fast.benchmarks.step_arithmetic.matrix_rate", lambda device, precision: 5e9)
    rows = by_name(bench_arithmetic(prepared, 10.0, CPU, repeats=2))
    forward = forward_flops(prepared.learner.network, [64, 64])
    assert rows["step.forward_flops_per_image"].value == forward > 0
    assert rows["step.flops"].value == 4 * 3 * forward
    assert rows["step.flop_utilisation"].value == pytest.approx(10 * 3 * forward / 5e9)
    assert rows["step.parameters"].value == sum(p.numel() for p in prepared.learner.network.parameters())


def test_a_resnet50_takes_4_1_giga_multiply_adds() -> None:
    """Of one view of 224 pixels; heads of one channel add nothing that counts."""
    config = parse_config(["--model.expander=1", "--model.projector=1", "--batch_size=2", "--views.large_size=64"])
    network = prepare_step(config, PLAIN, CPU).learner.network
    assert forward_flops(network, [224]) / 2 == pytest.approx(4.1e9, rel=0.01)


def test_the_twin_learns_classes_from_one_view(prepared: PreparedStep) -> None:
    twin = SupervisedStep(prepared, CPU)
    assert twin.images is prepared.batch.views[0] and len(twin.labels) == 4
    linear = twin.network.linear
    assert (linear.in_features, linear.out_features) == (prepared.learner.network.backbone.channels, CLASSES)
    with torch.no_grad():
        expected = nn.functional.cross_entropy(twin.network.train()(twin.images), twin.labels)
    losses = [twin().item() for _ in range(60)]
    assert losses[0] == pytest.approx(expected.item(), rel=1e-4)
    assert losses[-1] < losses[0]
    gradients = [p.grad for p in twin.network.backbone.parameters()]
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)
    assert forward_flops(_Listed(twin.network), [64]) < forward_flops(prepared.learner.network, [64, 64])


class _Listed(nn.Module):
    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, views: list[torch.Tensor]) -> torch.Tensor:
        return self.network(views[0])


def test_the_twin_has_the_recipes_optimiser_and_learning_depends_on_labels(prepared: PreparedStep) -> None:
    assert type(SupervisedStep(prepared, CPU).optimizer) is type(prepared.learner.step.optimizer)
    adamw = SupervisedStep(prepare_step(recipe("--optim.name=adamw"), LAST, CPU), CPU)
    assert isinstance(adamw.optimizer, torch.optim.AdamW)
    for _ in range(30):
        adamw()
    assert (adamw.network(adamw.images).argmax(1) == adamw.labels).all()


def test_the_ratio_is_of_both_in_turns(prepared: PreparedStep, capsys: pytest.CaptureFixture[str]) -> None:
    rows = by_name(bench_beside_supervised(prepared, CPU, repeats=1))
    ours, twin = rows["step.in_turns_images_per_second"], rows["step.supervised_images_per_second"]
    assert rows["step.over_half_supervised"].value == pytest.approx(ours.value / (twin.value / 2))
    many = prepare_step(recipe("--views.recipe=multicrop --views.small_size=32 --views.small_count=1"), LAST, CPU)
    rows = by_name(bench_beside_supervised(many, CPU, repeats=1))
    assert "step.over_half_supervised" not in rows and "two views of one size" in capsys.readouterr().err


def test_the_command_takes_a_recipe_and_what_replaces_it(tmp_path: Path) -> None:
    file, out = tmp_path / "recipe.yaml", tmp_path / "step.json"
    file.write_text("model:\n  backbone: test_resnet\n  expander: 16\n  projector: 8\nviews:\n  large_size: 96\n")
    options = f"step --config {file} --size 64 --batch 2 --repeats 1 --device cpu --precisions fp32 --json {out}"
    main([*options.split(), "--", "--model.expander", "12"])
    rows = by_name(read_measurements(out))
    network = prepare_step(recipe("--model.expander=12"), LAST, CPU).learner.network
    assert rows["step.forward_flops_per_image"].value == forward_flops(network, [64, 64])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--config missing.yaml", "missing.yaml"),
        ("-- --model.width 3", "model.width"),
        ("resnet18", "resnet18"),
        ("--backbone test_resnet --batch 1", "batch_size 1 leaves under 2 images"),
    ],
)
def test_bad_recipes_are_one_sentence(options: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["step", "--device", "cpu", *options.split()])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and reason in error and "Traceback" not in error and error.count("\n") == 1
