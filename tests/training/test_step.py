"""One step does what its parts say, and nothing when loss or gradients are no numbers."""

import numpy as np
import pytest
import torch

from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.vicregl import VICRegLLoss
from vicregl_fast.models.network import ModelConfig, VICRegLNetwork
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
        torch.optim.SGD(network.parameters(), lr=9.0),
        Precision(precision, "cpu"),
        clip,
        network.classifier,
    )


def batch(step: TrainingStep, labels: bool = True) -> ViewBatch:
    generator = torch.Generator().manual_seed(1)
    views = tuple(torch.randn(4, 3, 64, 64, generator=generator) for _ in range(2))
    cells = torch.tensor([[0, 3]] * 4)
    matches = {direction: (cells, cells) for direction in step.criterion.plan.location}
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
    loss, named, objective = step.losses(batch(step))
    torch.testing.assert_close(objective.detach() - loss, named["online_loss"])
    terms = {k: v for k, v in named.items() if k.startswith(("global", "local"))}
    total = sum(v * (0.75 if k.startswith("global") else 0.25) for k, v in terms.items())
    torch.testing.assert_close(torch.as_tensor(total), loss)
    assert "online_loss" not in step.losses(batch(step, labels=False))[1]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_step_that_is_no_number_changes_nothing(network: VICRegLNetwork, precision: str) -> None:
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
    norm = free(batch(free), 0.0).named["gradient_norm"]
    classifier = [parameter.grad.clone() for parameter in network.classifier.parameters()]
    result = clipped(batch(clipped), 0.0)
    assert norm > 1e-2 and result.named["gradient_norm"] == norm
    rest = [p.grad for name, p in network.named_parameters() if not name.startswith("classifier")]
    torch.testing.assert_close(torch.nn.utils.get_total_norm(rest), torch.tensor(1e-3), rtol=1e-3, atol=0)
    for before, parameter in zip(classifier, network.classifier.parameters(), strict=True):
        assert torch.equal(before, parameter.grad)


def test_a_gradient_of_the_classifier_that_is_no_number_is_seen(network: VICRegLNetwork) -> None:
    step = build(network)
    with torch.no_grad():
        network.classifier.bias[0] = float("inf")
    result = step(batch(step), RATE)
    assert not result.finite and result.named["gradient_norm"].isfinite()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_near_single(network: VICRegLNetwork, precision: str) -> None:
    network.eval()  # BatchNorm over four samples would magnify the rounding
    exact = build(network).losses(batch(build(network)))[0]
    half = build(network, precision).losses(batch(build(network)))[0]
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, exact, rtol=0.03, atol=0)
