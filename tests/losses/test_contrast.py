"""SimCLR's criterion against its plain definition, with gradients."""

import pytest
import torch

from tests.losses import plain
from vicregl_fast.losses.contrast import contrast


@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize("slots, samples, channels", [(1, 2, 3), (3, 5, 4), (2, 1, 3)])
def test_agrees_with_the_definition(slots: int, samples: int, channels: int, temperature: float) -> None:
    z_sn2d = torch.randn(slots, samples, 2, channels, dtype=torch.float64, requires_grad=True)
    weights_s = torch.rand(slots, dtype=torch.float64)
    expected = torch.stack([plain.nt_xent(z[:, 0], z[:, 1], temperature) for z in z_sn2d])
    (weights_s @ expected).backward()
    found = contrast(z_sn2d.detach(), temperature, weights_s)
    torch.testing.assert_close(found.values_s, expected.detach(), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found.gradient_sn2d, z_sn2d.grad, rtol=1e-9, atol=1e-12)
    without = contrast(z_sn2d.detach(), temperature, None)
    assert without.gradient_sn2d is None
    torch.testing.assert_close(without.values_s, found.values_s, rtol=0, atol=0)
