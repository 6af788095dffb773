"""The loss on a GPU equals the loss on a CPU, values and gradients."""

import pytest
import torch

from tests.losses.inputs import inputs_on, loss_on
from vicregl_fast.losses.config import LossConfig


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """The GPU; and the CPU, on which the number formats are compared, and this file is tried everywhere."""
    return torch.device("cpu") if request.param == "cpu" else request.getfixturevalue("cuda")


@pytest.mark.parametrize("grids", [(7, 7), (7, 7, 3, 3)])
@pytest.mark.parametrize(
    "options", [{}, {"preset": "official"}, {"criterion": "simclr"}, {"gamma_large": 49, "gamma_small": 9}]
)
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_loss_and_gradients_are_the_cpu_s(
    device: torch.device,
    options: dict,
    grids: tuple[int, ...],
    dtype: torch.dtype,
    tolerance: float,
) -> None:
    config = LossConfig(**options)
    expected, expected_gradients = loss_on(config, grids, torch.device("cpu"), torch.float64)
    terms, gradients = loss_on(config, grids, device, dtype)
    assert terms.by_name.keys() == expected.by_name.keys()
    for name, value in expected.by_name.items():
        torch.testing.assert_close(terms.by_name[name].double().cpu(), value, rtol=tolerance, atol=tolerance, msg=name)
    for gradient, right in zip(gradients, expected_gradients, strict=True):
        assert (gradient - right).norm() <= tolerance * right.norm()


@pytest.mark.gpu
@pytest.mark.parametrize("options", [{}, {"preset": "official"}, {"criterion": "simclr"}])
def test_a_step_never_waits_for_the_device(cuda: torch.device, options: dict) -> None:
    """Beyond the first, which lays the slots out."""
    config, grids = LossConfig(**options), (7, 7, 3, 3)
    loss_on(config, grids, cuda, torch.float32)
    loss, leaves, matches = inputs_on(cuda, torch.float32, config, grids)
    torch.cuda.set_sync_debug_mode("error")
    try:
        loss(leaves[: len(grids)], leaves[len(grids) :], matches).total.backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
