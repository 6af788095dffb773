"""One step does what its parts say, and nothing when loss or gradients are not finite."""

import copy

import numpy as np
import pytest
import torch

from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.geometry.matches import Matches
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.vicregl import VICRegLLoss
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.models.network import NetworkOutputs, VICRegLNetwork
from vicregl_fast.training.precision import Precision
from vicregl_fast.training.step import TrainingStep

RATE = 0.5


@pytest.fixture
def network() -> VICRegLNetwork:
    torch.manual_seed(0)
    return VICRegLNetwork(ModelConfig("resnet18", expander=16, projector=8), True, True, classes=3)


def build(network: VICRegLNetwork, precision: str = "fp32", clip: float | None = None) -> TrainingStep:
    criterion = VICRegLLoss(LossConfig(gamma_large=2), 2)
    return TrainingStep(
        network,
        criterion,
        torch.optim.SGD(network.parameters(), lr=9.0, fused=True),
        Precision(precision, "cpu"),
        clip,
        network.classifier,
    )


def batch(step: TrainingStep, labels: bool = True) -> ViewBatch:
    generator = torch.Generator().manual_seed(1)
    views = tuple(torch.randn(4, 3, 64, 64, generator=generator) for _ in range(2))
    cells = torch.tensor([[0, 3]] * 4)
    matches = {direction: Matches(cells, cells) for direction in step.criterion.plan.location}
    return ViewBatch(np.arange(4), views, torch.tensor([0, 1, 2, 0]) if labels else None, matches)


def test_parameters_move_by_the_given_rate_against_the_gradient(network: VICRegLNetwork) -> None:
    step = build(network)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    result = step(batch(step), RATE)
    assert result.finite
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.detach(), before[name] - RATE * parameter.grad)


def test_the_classifier_is_trained_but_not_counted(network: VICRegLNetwork) -> None:
    step = build(network)
    losses = step.losses(batch(step))
    torch.testing.assert_close(losses.objective - losses.terms.total, losses.online["online_loss"])
    terms = losses.terms.by_name
    total = sum(v * (0.75 if k.startswith("global") else 0.25) for k, v in terms.items())
    torch.testing.assert_close(torch.as_tensor(total), losses.terms.total.detach())
    assert step.losses(batch(step, labels=False)).online == {}


@pytest.mark.parametrize("clip", [None, 1e-3])
def test_a_gradient_scaler_s_factor_does_not_show(network: VICRegLNetwork, clip: float | None) -> None:
    """In float32, where gradients are exact multiples."""
    scaled = copy.deepcopy(network)
    steps = build(network, clip=clip), build(scaled, clip=clip)
    steps[1].scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=2)
    for _ in range(2):
        plain, other = (step(batch(step), 1e-2) for step in steps)
        torch.testing.assert_close(other.figures["gradient_norm"], plain.figures["gradient_norm"])
    assert plain.scale is None and other.scale == 2.0**11  # after two finite steps
    for a, b in zip(network.parameters(), scaled.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    before = [parameter.clone() for parameter in scaled.parameters()]
    bad = batch(steps[1])
    bad.views[0][0, 0, 0, 0] = float("inf")
    result = steps[1](bad, RATE)
    assert not result.finite and result.scale == 2.0**10
    assert all(torch.equal(a, b) for a, b in zip(before, scaled.parameters(), strict=True))


@pytest.mark.parametrize("precision", ["fp32", pytest.param("fp16", marks=pytest.mark.slow)])  # slow on a CPU
def test_a_step_that_is_not_finite_changes_nothing(network: VICRegLNetwork, precision: str) -> None:
    step = build(network, precision)
    while not step(batch(step), 0.0).finite:
        assert precision == "fp16"  # whose scaler finds its scale first
    before = {name: value.clone() for name, value in network.state_dict().items()}
    bad = batch(step)
    bad.views[0][0, 0, 0, 0] = float("nan")
    result = step(bad, RATE)
    assert not result.finite
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert after["backbone.model.bn1.num_batches_tracked"] == 2  # the two views of the good step


def test_gradients_are_clipped_to_the_norm_without_the_classifier(network: VICRegLNetwork) -> None:
    free, clipped = build(network), build(network, clip=1e-3)
    network.eval()  # the same BatchNorm twice
    norm = free(batch(free), 0.0).figures["gradient_norm"]
    classifier = [parameter.grad.clone() for parameter in network.classifier.parameters()]
    result = clipped(batch(clipped), 0.0)
    assert norm > 1e-2 and result.figures["gradient_norm"] == norm
    rest = [p.grad for name, p in network.named_parameters() if not name.startswith("classifier")]
    torch.testing.assert_close(torch.nn.utils.get_total_norm(rest), torch.tensor(1e-3), rtol=1e-3, atol=0)
    for before, parameter in zip(classifier, network.classifier.parameters(), strict=True):
        assert torch.equal(before, parameter.grad)


def test_a_non_finite_gradient_of_the_classifier_is_seen(network: VICRegLNetwork) -> None:
    step = build(network)
    with torch.no_grad():
        network.classifier.bias[0] = float("inf")
    result = step(batch(step), RATE)
    assert not result.finite and result.figures["gradient_norm"].isfinite()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_near_single(network: VICRegLNetwork, precision: str) -> None:
    network.eval()  # BatchNorm over four samples would magnify the rounding
    exact = build(network).losses(batch(build(network))).terms.total
    outputs: list[NetworkOutputs] = []
    network.register_forward_hook(lambda module, arguments, made: outputs.append(made))
    half = build(network, precision).losses(batch(build(network))).terms.total
    wanted = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    (made,) = outputs
    assert {each.dtype for each in (*made.embeddings, *made.maps, made.logits)} == {wanted}
    assert half.dtype == torch.float32 and half != exact
    torch.testing.assert_close(half, exact, rtol=0.03, atol=0)
