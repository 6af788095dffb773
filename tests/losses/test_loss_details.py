"""What the loss says of itself: terms by name and direction, and whether features collapse."""

import pytest
import torch

from tests.losses.inputs import drawn, location_matches, with_gradients
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.vicregl import VICRegLLoss


def test_details_tell_directions_and_health() -> None:
    config = LossConfig(gamma_large=5, gamma_small=2)
    embeddings, maps, positions = drawn(5, (3, 3, 2), 4, 6, 8)
    loss = VICRegLLoss(config, 3)
    matches = location_matches(loss.plan, positions)
    terms = loss(embeddings, maps, matches)
    details = terms.details()
    for kind, directions in (("location", loss.plan.location), ("feature", loss.plan.feature)):
        for term in ("invariance", "variance", "covariance"):
            parts = [
                direction.weight
                * details[f"{kind}/{direction.query}to{direction.neighbour}_kept{direction.gamma}/{term}"]
                for direction in directions
            ]
            assert float(sum(parts)) == pytest.approx(float(terms.by_name[f"local_{kind}_{term}"]), rel=1e-9)
    assert len(details) == 2 * 6 * 3 + 6

    for name, z_snd in (("global", embeddings[0][None]), ("local", maps[0].transpose(0, 1))):
        expected_std = z_snd.std(dim=1).mean()
        assert float(details[f"health/{name}_std"]) == pytest.approx(float(expected_std), rel=1e-9)
        correlations = [torch.corrcoef(z_nd.T) for z_nd in z_snd]
        off = [c[~torch.eye(len(c), dtype=torch.bool)].square().mean().sqrt() for c in correlations]
        found = float(details[f"health/{name}_correlation"])
        assert found == pytest.approx(float(torch.stack(off).mean()), rel=1e-2)


@pytest.mark.parametrize("size", [1.0, 1e-3])
def test_collapse_is_seen(size: float) -> None:
    """All features say the same, and ever less."""
    maps = [torch.randn(8, 9, 1).expand(8, 9, 5) * size] * 2
    details = VICRegLLoss(LossConfig(alpha=0.0, location=False), 2)(None, maps, {}).details()
    assert float(details["health/local_std"]) < 2 * size
    assert float(details["health/local_correlation"]) > 0.99


def test_features_that_are_constant_correlate_with_none() -> None:
    details = VICRegLLoss(LossConfig(alpha=1.0), 2)([torch.full((8, 5), 3.0)] * 2, None, {}).details()
    assert float(details["health/global_std"]) == float(details["health/global_correlation"]) == 0.0


@pytest.mark.parametrize("alpha, count", [(0.0, 6), (0.75, 9), (1.0, 3)])
def test_named_terms_add_up_to_the_total(alpha: float, count: int) -> None:
    terms, _ = with_gradients(LossConfig(alpha=alpha, gamma_large=5, gamma_small=2), *drawn(4, (3, 3, 2), 4, 6, 1))
    of_global = sum(float(value) for name, value in terms.by_name.items() if name.startswith("global_"))
    of_local = sum(float(value) for name, value in terms.by_name.items() if name.startswith("local_"))
    assert terms.total.item() == pytest.approx(alpha * of_global + (1 - alpha) * of_local, abs=1e-12)
    assert len(terms.by_name) == count
    assert not any(value.requires_grad for value in terms.by_name.values())
