"""Variance and covariance in their cheap batched form against the plain definitions."""

import pytest
import torch

from tests.losses import plain
from vicregl_fast.losses.statistics import centre, covariance, invariance, variance

SHAPES = [(1, 2, 5), (4, 6, 6), (3, 5, 9), (3, 9, 5), (2, 7, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_slots_agree_with_the_definitions(shape: tuple[int, int, int]) -> None:
    z_snd = torch.randn(shape, dtype=torch.float64) * 2 + 3
    x_snd = centre(z_snd)
    expected_v = torch.stack([plain.v(z_nd) for z_nd in z_snd])
    expected_c = torch.stack([plain.c(z_nd) for z_nd in z_snd])
    torch.testing.assert_close(variance(x_snd), expected_v, rtol=0, atol=1e-12)
    torch.testing.assert_close(covariance(x_snd), expected_c, rtol=1e-12, atol=1e-12)
    other = torch.randn_like(z_snd)
    expected_s = torch.stack([plain.s(a, b) for a, b in zip(z_snd, other, strict=True)])
    torch.testing.assert_close(invariance(z_snd, other), expected_s, rtol=1e-12, atol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_exact(shape: tuple[int, int, int]) -> None:
    z_snd = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: covariance(centre(z)), z_snd)
    assert torch.autograd.gradcheck(lambda z: variance(centre(z)), z_snd)


@pytest.mark.parametrize("channels", [2, 8])
def test_own_rows_share_the_work(channels: int) -> None:
    """The mean of the values over ranks is the term; their gradients together are its gradient."""
    z_snd = torch.randn(3, 9, channels, dtype=torch.float64, requires_grad=True)
    x_snd = centre(z_snd)
    whole = covariance(x_snd)
    (expected,) = torch.autograd.grad(whole.sum(), z_snd)
    values, gradients = [], []
    for start in (0, 3, 6):
        values.append(covariance(x_snd, slice(start, start + 3)))
        gradients.append(torch.autograd.grad(values[-1].sum(), z_snd)[0])
        assert bool((gradients[-1][:, :start] == 0).all())
    torch.testing.assert_close(torch.stack(values).mean(0), whole)
    torch.testing.assert_close(torch.stack(gradients).sum(0), expected)


def test_transposed_views_and_half_precision_are_taken_in_float32() -> None:
    z_nsd = (torch.randn(6, 4, 5) * 3 + 10).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x_snd = centre(z_nsd.transpose(0, 1))
        found = covariance(x_snd)
    expected = torch.stack([plain.c(z_nd.double()) for z_nd in z_nsd.transpose(0, 1)])
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
