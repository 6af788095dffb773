"""The loss in float32, under autocast, of half-precision embeddings, of collapsed features, and in blocks."""

import pytest
import torch

from tests.losses.inputs import drawn, with_gradients
from vicregl_fast.losses import feature_matching, local_criterion
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.vicregl import VICRegLLoss


@pytest.mark.parametrize("options", [{}, {"preset": "official"}, {"criterion": "simclr"}, {"gamma_large": 49}])
def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, options: dict) -> None:
    inputs = drawn(6, (4, 3, 2), 5, 7, 9)
    for tensors in ([*inputs], [[tensor.float() for tensor in tensors] for tensors in inputs]):
        whole, gradients = with_gradients(LossConfig(**options), *tensors)
        with monkeypatch.context() as patch:
            for module in (local_criterion, feature_matching):
                patch.setattr(module, "block_bytes", lambda device: 1000)  # a slot or two, a sample
            cut, cut_gradients = with_gradients(LossConfig(**options), *tensors)
        torch.testing.assert_close(cut.by_name, whole.by_name, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(cut_gradients, gradients, rtol=1e-5, atol=1e-6)


def test_the_global_value_keeps_its_digits_over_millions_of_numbers() -> None:
    z = [torch.randn(256, 16384) for _ in range(2)]
    single = VICRegLLoss(LossConfig(alpha=1.0), 2)(z, None, {})
    double = VICRegLLoss(LossConfig(alpha=1.0), 2)([view.double() for view in z], None, {})
    for name, value in double.by_name.items():
        assert float(single.by_name[name]) == pytest.approx(float(value), rel=1e-5), name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_gradients_of_rounded_embeddings_stay_near_float64(dtype: torch.dtype) -> None:
    embeddings, maps, positions = drawn(32, (4, 4), 16, 48, 10)
    config = LossConfig(gamma_large=16)  # all cells, so that rounding changes few matches
    rounded = [[tensor.to(dtype) for tensor in tensors] for tensors in (embeddings, maps)]
    exact = [[tensor.double() for tensor in tensors] for tensors in rounded]
    _, expected = with_gradients(config, *exact, positions)
    _, gradients = with_gradients(config, *rounded, positions)
    for gradient, right in zip(gradients, expected, strict=True):
        assert gradient.dtype == dtype
        assert (gradient - right).norm() <= 1e-2 * right.norm()


def test_statistics_are_float32_under_autocast() -> None:
    config = LossConfig(gamma_large=5, gamma_small=2)
    embeddings, maps, positions = drawn(6, (3, 3), 4, 6, 3)
    embeddings, maps = [z.bfloat16() for z in embeddings], [m.bfloat16() for m in maps]
    expected, expected_gradients = with_gradients(
        config, [z.float() for z in embeddings], [m.float() for m in maps], positions
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms, gradients = with_gradients(config, embeddings, maps, positions)
    assert terms.total.dtype == torch.float32
    assert terms.total.item() == expected.total.item()
    for gradient, wanted in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, wanted.bfloat16(), rtol=0, atol=0)


def test_collapsed_features_give_finite_gradients() -> None:
    maps = [torch.ones(4, 9, 5)] * 2
    _, _, positions = drawn(4, (3, 3), 5, 6, 4)
    contrasted, pulled = with_gradients(LossConfig(criterion="simclr"), [torch.zeros(4, 6)] * 2, maps, positions)
    assert bool(contrasted.total.isfinite()) and max(float(gradient.abs().max()) for gradient in pulled) < 1e4
    terms, gradients = with_gradients(LossConfig(), [torch.zeros(4, 6)] * 2, maps, positions)
    assert float(terms.by_name["global_variance"]) == pytest.approx(25 * 0.99, rel=1e-6)
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
