"""RankMe where it is known."""

import pytest
import torch

from vicregl_fast.losses.health import RANKED_ROWS, effective_rank


@pytest.mark.parametrize(("rows", "channels", "rank"), [(40, 24, 7), (24, 40, 7), (300, 600, 5), (600, 300, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_directions_are_counted(rows: int, channels: int, rank: int, dtype: torch.dtype) -> None:
    """``rank`` singular values are 3 and all others 0; of a matrix of rank 1, any rows have that rank."""
    generator = torch.Generator().manual_seed(rows)
    left, right = (
        torch.linalg.qr(torch.randn(size, rank, generator=generator, dtype=torch.float64)).Q  # orthonormal columns
        for size in (rows, channels)
    )
    z_nd = 3 * (left @ right.T)
    assert float(effective_rank(z_nd.to(dtype)[None])) == pytest.approx(rank, rel=1e-3)


def test_an_identity_has_its_size() -> None:
    assert float(effective_rank(torch.eye(96)[None])) == pytest.approx(96, rel=1e-6)
    assert float(effective_rank(torch.eye(64).view(4, 16, 64))) == pytest.approx(64, rel=1e-6)  # four slots


def test_unequal_directions_count_by_their_entropy() -> None:
    """Singular values 3 and 1: exp(-(0.75 log 0.75 + 0.25 log 0.25)) = 1.7548."""
    assert float(effective_rank(torch.diag(torch.tensor([3.0, 1.0, 0.0]))[None])) == pytest.approx(1.7548, abs=1e-4)


def test_rows_are_spread_over_the_batch_and_bounded() -> None:
    many = torch.eye(4).repeat_interleave(RANKED_ROWS, 0)  # the first rows alone would have rank 1
    assert float(effective_rank(many[None])) == pytest.approx(4, rel=1e-6)
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(1, RANKED_ROWS + 100, 8 * RANKED_ROWS, generator=generator)
    assert 0.9 * RANKED_ROWS < float(effective_rank(wide)) < RANKED_ROWS


@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_what_is_not_finite_has_none_and_nothing_has_one(broken: float) -> None:
    z_nd = torch.randn(8, 5)
    z_nd[3, 2] = broken
    assert effective_rank(z_nd[None]).isnan()
    assert float(effective_rank(torch.zeros(1, 8, 5))) == 1.0
