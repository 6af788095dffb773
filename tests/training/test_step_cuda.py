"""Training steps on a GPU: every number format learns, overflow is skipped, compiled and recorded are as launched."""

import copy
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from vicregl_fast.augment.recipe import ViewsConfig, view_recipes
from vicregl_fast.benchmarks.drawn_views import drawn_batch
from vicregl_fast.choices import PrecisionName
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.views import ViewMaker
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.vicregl import VICRegLLoss
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.models.network import NetworkOutputs, VICRegLNetwork
from vicregl_fast.models.passes import compile_backbone
from vicregl_fast.optim.build import build_optimizer
from vicregl_fast.optim.config import OptimConfig
from vicregl_fast.training.failures import Failures
from vicregl_fast.training.outcomes import StepOutcomes
from vicregl_fast.training.precision import Precision
from vicregl_fast.training.processes import Processes
from vicregl_fast.training.recorded_step import WARM_UP_STEPS, CudaGraphs, RecordedTrainingStep
from vicregl_fast.training.step import TrainingStep

pytestmark = pytest.mark.gpu
RATE = 2.0**-10  # which float32 holds


def prepared(
    device: torch.device,
    precision: PrecisionName,
    compiled: bool = False,
    recorded: bool = False,
    backbone: str = "resnet18",
    optim: str = "adamw",
    classes: int = 0,
) -> tuple[TrainingStep, ViewBatch]:
    torch.manual_seed(0)
    network = VICRegLNetwork(ModelConfig(backbone, 16, expander=64, projector=32), True, True, classes)
    network = network.to(device).to(memory_format=torch.channels_last)
    recipes = view_recipes(ViewsConfig(large_size=64, large_scale=(0.5, 1.0)))
    criterion = VICRegLLoss(LossConfig(gamma_large=6), 2)
    maker = ViewMaker(
        recipes=recipes,
        grids=(4, 4),
        directions=criterion.plan.location,
        mirror_flips=True,
        seed=0,
        device=torch.device("cpu"),
    )
    made = maker.make(drawn_batch(32), 0)
    matches = {direction: kept.map(lambda cells: cells.to(device)) for direction, kept in made.matches.items()}
    batch = ViewBatch(made.indices, tuple(view.to(device) for view in made.views), None, matches)
    optimizer = build_optimizer(OptimConfig(name=optim), network)  # type: ignore[arg-type]
    if compiled:
        compile_backbone(network.backbone)
    parts = network, criterion, optimizer, Precision(precision, device.type), None, network.classifier
    return RecordedTrainingStep(CudaGraphs(device), *parts) if recorded else TrainingStep(*parts), batch


@pytest.mark.parametrize("precision, tolerance", [("fp32", 1e-3), ("bf16", 0.05), ("fp16", 0.02)])
def test_every_number_format_learns(cuda: torch.device, precision: PrecisionName, tolerance: float) -> None:
    if precision == "bf16" and torch.cuda.get_device_capability(cuda) < (8, 0):
        pytest.skip("this GPU does not multiply bf16")
    exact_step, exact_batch = prepared(torch.device("cpu"), "fp32")
    exact = exact_step.losses(exact_batch).terms.total.item()
    step, batch = prepared(cuda, precision)
    made: list[NetworkOutputs] = []
    hook = step.network.register_forward_hook(lambda module, arguments, outputs: made.append(outputs))
    results = [step(batch, RATE)]
    hook.remove()
    (outputs,) = made
    assert outputs.embeddings is not None and outputs.maps is not None
    assert {each.dtype for each in (*outputs.embeddings, *outputs.maps)} == {step.precision.dtype}
    results += [step(batch, RATE) for _ in range(24)]
    assert abs(results[0].loss - exact) <= tolerance * exact
    assert sum(result.finite for result in results) >= 20, "a scaler needs a few steps at most"
    assert results[-1].loss < 0.9 * results[0].loss


def test_an_overflow_is_skipped_and_lowers_the_scale(cuda: torch.device) -> None:
    step, batch = prepared(cuda, "fp16")
    step.scaler = torch.amp.GradScaler("cuda", init_scale=2.0**60)
    before = [parameter.detach().clone() for parameter in step.network.parameters()]
    result = step(batch, RATE)
    assert not result.finite
    assert all(torch.equal(a, b) for a, b in zip(before, step.network.parameters(), strict=True))
    assert step.scaler.get_scale() == 2.0**59


@pytest.mark.parametrize("recorded", [False, True])
def test_between_logged_steps_nothing_waits(cuda: torch.device, recorded: bool) -> None:
    precision: PrecisionName = "bf16" if torch.cuda.get_device_capability(cuda) >= (8, 0) else "fp16"
    step, batch = prepared(cuda, precision, recorded=recorded)
    outcomes = StepOutcomes(Failures(patience=99), Processes(0, 1, cuda), Path("/dev/null"))
    for number in range(1, WARM_UP_STEPS + 2):  # constants are made in the first ones, and a graph in the last
        outcomes.expect(number, batch.indices, step(batch, RATE))
    outcomes.settle()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for number in range(WARM_UP_STEPS + 2, WARM_UP_STEPS + 5):
            outcomes.expect(number, batch.indices, step(batch, RATE))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    outcomes.settle()
    assert outcomes.last_finite


@pytest.mark.parametrize("recorded", [False, True])
def test_compiled_is_as_eager(cuda: torch.device, recorded: bool) -> None:
    losses = []
    for compiled in (False, True):
        step, batch = prepared(cuda, "fp32", compiled, recorded and compiled)
        losses.append([step(batch, RATE).loss.item() for _ in range(6)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("backbone, optim", [("resnet18", "lars"), ("resnet18", "adamw"), ("convnext_atto", "adamw")])
def test_recorded_steps_are_as_launched_ones(
    cuda: torch.device, repeatable: None, precision: PrecisionName, backbone: str, optim: str
) -> None:
    """Bit for bit, with other images, labels, matches and rates in every step, an overflow, and a state loaded."""
    if precision == "bf16" and torch.cuda.get_device_capability(cuda) < (8, 0):
        pytest.skip("this GPU does not multiply bf16")
    rate = 2.0**-6 if optim == "lars" else RATE
    taken: list[list[dict[str, torch.Tensor]]] = [[], []]
    ends = []
    for recorded in (False, True):
        step, batch = prepared(cuda, precision, recorded=recorded, backbone=backbone, optim=optim, classes=3)
        step.scaler = torch.amp.GradScaler("cuda", init_scale=2.0**10, enabled=precision == "fp16")
        generator = torch.Generator(cuda).manual_seed(1)
        for number in range(12):
            views = tuple(
                view + torch.randn(view.shape, device=cuda, generator=generator).to(view) for view in batch.views
            )
            views = tuple(view.contiguous(memory_format=torch.channels_last) for view in views)
            labels = torch.randint(3, (len(views[0]),), device=cuda, generator=generator)
            matches = {to: kept.map(partial(torch.roll, shifts=number, dims=0)) for to, kept in batch.matches.items()}
            if number == 6:
                views[0][0, 0, 0, 0] = float("inf")
            if number == 8:
                step.optimizer.load_state_dict(copy.deepcopy(step.optimizer.state_dict()))
            result = step(replace(batch, views=views, labels=labels, matches=matches), rate * (1 + number))
            seen = {"loss": result.loss, "pooled": result.pooled, **result.figures, **result.details()}
            taken[recorded].append({name: value.clone() for name, value in seen.items()})
            assert bool(result.finite) == (number != 6)
            assert step.optimizer.param_groups[0]["lr"] == rate * (1 + number)
        ends.append((step.network.state_dict(), step.scaler.get_scale()))
    torch.testing.assert_close(taken[1], taken[0], rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(ends[1], ends[0], rtol=0, atol=0)


FAILING_CAPTURE = """
import torch
from dataprep.errors import UserError
from tests.training.test_step_cuda import RATE, WARM_UP_STEPS, prepared
step, batch = prepared(torch.device("cuda", 0), "fp32", recorded=True)
step.network.register_forward_hook(lambda module, arguments, outputs: print(outputs.pooled.sum().item()))
for _ in range(WARM_UP_STEPS):
    step(batch, RATE)
before = torch.cuda.current_stream()
try:
    step(batch, RATE)
except UserError as error:
    print(error)
assert torch.cuda.current_stream() == before
"""


def test_what_cannot_be_recorded_is_said(cuda: torch.device) -> None:
    """In a process of its own, which torch leaves unusable."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", FAILING_CAPTURE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, cwd=root)
    assert done.returncode == 0, done.stderr
    assert re.search(r"cannot be recorded as a CUDA graph \(.*\): leave train\.cuda_graphs at false", done.stdout)
