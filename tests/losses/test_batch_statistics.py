"""Variance and covariance in their cheap batched forms against the plain definitions, with gradients."""

import pytest
import torch
from torch import Tensor

from dataprep.errors import UserError
from tests.losses import plain
from vicregl_fast.losses.batch_statistics import FORMS, Form, SpreadWeights, choose_form, cost, spread

SHAPES = [(1, 2, 5), (4, 6, 6), (3, 5, 9), (3, 9, 5), (2, 7, 1)]


def weights_of(slots: int) -> SpreadWeights:
    return SpreadWeights(*torch.rand(2, slots, dtype=torch.float64))


def expected_of(z_snd: Tensor, weights: SpreadWeights) -> tuple[Tensor, Tensor, Tensor]:
    """Both terms of every slot and the gradient of their weighted sum, by autograd through the definitions."""
    leaf = z_snd.clone().requires_grad_()
    variance_s = torch.stack([plain.v(z_nd) for z_nd in leaf])
    covariance_s = torch.stack([plain.c(z_nd) for z_nd in leaf])
    (weights.variance_s @ variance_s + weights.covariance_s @ covariance_s).backward()
    assert leaf.grad is not None
    return variance_s.detach(), covariance_s.detach(), leaf.grad


@pytest.mark.parametrize("form", [*FORMS, None])
@pytest.mark.parametrize("shape", SHAPES)
def test_slots_agree_with_the_definitions(shape: tuple[int, int, int], form: Form | None) -> None:
    z_snd = torch.randn(shape, dtype=torch.float64) * 0.9 + 3
    weights = weights_of(shape[0])
    variance_s, covariance_s, gradient_snd = expected_of(z_snd, weights)
    for asked in (weights, None):
        found = spread(z_snd.clone(), asked, form)
        torch.testing.assert_close(found.variance_s, variance_s, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(found.covariance_s, covariance_s, rtol=1e-9, atol=1e-12)
        if asked is None:
            assert found.gradient_snd is None
        else:
            torch.testing.assert_close(found.gradient_snd, gradient_snd, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 40, 90), (3, 90, 40)])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_float32_keeps_its_digits_beside_a_common_offset(shape: tuple[int, int, int], offset: float) -> None:
    z_snd = (torch.randn(shape) + offset).double()  # the same numbers for both
    weights = weights_of(shape[0])
    variance_s, covariance_s, gradient_snd = expected_of(z_snd, weights)
    found = spread(z_snd.float(), SpreadWeights(weights.variance_s.float(), weights.covariance_s.float()))
    torch.testing.assert_close(found.variance_s.double(), variance_s, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.covariance_s.double(), covariance_s, rtol=1e-4, atol=0)
    assert found.gradient_snd is not None
    assert (found.gradient_snd - gradient_snd).norm() <= 1e-4 * gradient_snd.norm()


def test_equal_samples_have_finite_gradients() -> None:
    found = spread(torch.ones(2, 4, 3), SpreadWeights(torch.ones(2), torch.ones(2)))
    assert found.gradient_snd is not None and bool(found.gradient_snd.isfinite().all())
    torch.testing.assert_close(found.variance_s, torch.full((2,), 0.99))


def test_a_single_sample_is_refused() -> None:
    with pytest.raises(UserError, match="at least 2 samples in the global batch, not 1: raise --batch_size"):
        spread(torch.ones(2, 1, 3), None)


@pytest.mark.parametrize(
    "slots, samples, channels, world, form",
    [
        (2, 256, 8192, 1, "rows"),
        (40, 2048, 512, 1, "partial"),
        (2, 64, 8192, 32, "rows"),
        (160, 64, 512, 32, "slots"),
        (1, 2048, 512, 4, "partial"),
    ],
)
def test_the_form_of_the_least_time_is_chosen(slots: int, samples: int, channels: int, world: int, form: str) -> None:
    assert choose_form(slots, samples, channels, world) == form


def test_the_figures_of_the_docstring() -> None:
    """Batch 2048 on 32 ranks: the global part, then the local part."""
    gigaflop, megabyte = 1e9, 1e6
    figures = {
        (2, 8192): {"rows": (8.6, 130), "partial": (34.4, 1040), "slots": (137.4, 130)},
        (160, 512): {"rows": (42.9, 650), "partial": (10.7, 325), "slots": (10.7, 40.6)},
    }
    for (slots, channels), forms in figures.items():
        for form in FORMS:
            found = cost(form, slots, 64, channels, 32)
            operations, moved = forms[form]
            assert found.operations / gigaflop == pytest.approx(operations, abs=0.06)
            assert found.bytes_moved / megabyte == pytest.approx(moved, abs=0.5)
