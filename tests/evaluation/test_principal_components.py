"""Principal components of planted directions."""

import torch

from vicregl_fast.evaluation.principal_components import PrincipalComponents


def test_planted_directions_are_found_in_their_order() -> None:
    """Points of a plane in five dimensions: deviations 5 and 2 along known directions, 0.1 along the others."""
    generator = torch.Generator().manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(5, 5, generator=generator))
    scales = torch.tensor([5.0, 2.0, 0.1, 0.1, 0.1])
    features = torch.randn(4000, 5, generator=generator) * scales @ basis.T + 7
    found = PrincipalComponents.of(features, 2)
    assert torch.allclose((found.directions_ck * basis[:, :2]).sum(0).abs(), torch.ones(2), atol=1e-3)
    assert (found.directions_ck.gather(0, found.directions_ck.abs().argmax(0)[None]) > 0).all()
    assert torch.allclose(found.shares_k, torch.tensor([25.0, 4.0]) / 29.03, atol=0.02)
    coordinates = found(features)
    assert torch.allclose(coordinates.mean(0), torch.zeros(2), atol=1e-4)
    assert torch.allclose(coordinates.std(0), scales[:2], rtol=0.05)
    u, s, _ = torch.linalg.svd(features - features.mean(0), full_matrices=False)
    assert torch.allclose(coordinates.abs(), (u * s)[:, :2].abs(), atol=1e-3)


def test_equal_features_have_no_variance_to_share() -> None:
    found = PrincipalComponents.of(torch.ones(4, 3), 2)
    assert found.shares_k.tolist() == [0, 0] and found(torch.ones(1, 3)).tolist() == [[0, 0]]
