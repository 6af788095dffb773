"""The loss on a GPU equals the loss on a CPU, values and gradients."""

import pytest
import torch

from tests.losses.inputs import drawn, random_matches
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.vicregl import LossTerms, VICRegLLoss

pytestmark = pytest.mark.gpu


Inputs = tuple[VICRegLLoss, list[torch.Tensor], dict]


def inputs_on(device: torch.device, dtype: torch.dtype, config: LossConfig, grids: tuple[int, ...]) -> Inputs:
    """The loss, embeddings and maps that want gradients, and location matches."""
    embeddings, maps, _ = drawn(24, grids, d=16, big_d=40, seed=3)
    generator = torch.Generator().manual_seed(5)
    loss = VICRegLLoss(config, len(grids))
    matches = {
        direction: tuple(m.to(device) for m in random_matches(direction, 24, [grid**2 for grid in grids], generator))
        for direction in loss.plan.location
    }
    return loss, [tensor.to(device, dtype).requires_grad_() for tensor in (*embeddings, *maps)], matches


def on_device(
    config: LossConfig, grids: tuple[int, ...], device: torch.device, dtype: torch.dtype
) -> tuple[LossTerms, list[torch.Tensor]]:
    loss, leaves, matches = inputs_on(device, dtype, config, grids)
    terms = loss(leaves[: len(grids)], leaves[len(grids) :], matches)
    terms.total.backward()
    return terms, [leaf.grad.double().cpu() for leaf in leaves]


@pytest.mark.parametrize("grids", [(7, 7), (7, 7, 3, 3)])
@pytest.mark.parametrize(
    "options", [{}, {"preset": "official"}, {"criterion": "simclr"}, {"gamma_large": 49, "gamma_small": 9}]
)
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_loss_and_gradients_are_the_cpu_s(
    cuda: torch.device,
    options: dict,
    grids: tuple[int, ...],
    dtype: torch.dtype,
    tolerance: float,
) -> None:
    config = LossConfig(**options)
    expected, expected_gradients = on_device(config, grids, torch.device("cpu"), torch.float64)
    terms, gradients = on_device(config, grids, cuda, dtype)
    assert terms.by_name.keys() == expected.by_name.keys()
    for name, value in expected.by_name.items():
        torch.testing.assert_close(terms.by_name[name].double().cpu(), value, rtol=tolerance, atol=tolerance, msg=name)
    for gradient, right in zip(gradients, expected_gradients, strict=True):
        assert (gradient - right).norm() <= tolerance * right.norm()


@pytest.mark.parametrize("options", [{}, {"preset": "official"}, {"criterion": "simclr"}])
def test_a_step_never_waits_for_the_device(cuda: torch.device, options: dict) -> None:
    """Beyond the first, which lays the slots out."""
    config, grids = LossConfig(**options), (7, 7, 3, 3)
    on_device(config, grids, cuda, torch.float32)
    loss, leaves, matches = inputs_on(cuda, torch.float32, config, grids)
    torch.cuda.set_sync_debug_mode("error")
    try:
        loss(leaves[: len(grids)], leaves[len(grids) :], matches).total.backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
