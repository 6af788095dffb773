"""Nearest neighbours by features against brute force, with ties."""

import pytest
import torch

from tests.losses import plain
from vicregl_fast.losses.feature_matching import keep_nearest, nearest_both_ways


@pytest.mark.parametrize("gamma", [1, 4, 8, 9, 30, None])
@pytest.mark.parametrize("cells_b", [9, 4, 16])
def test_agrees_with_brute_force(cells_b: int, gamma: int | None) -> None:
    a = torch.randn(3, 9, 5, dtype=torch.float64) + 100
    b = torch.randn(3, cells_b, 5, dtype=torch.float64) + 100
    for nearest, ends in zip(nearest_both_ways(a, b), ((a, b), (b, a)), strict=True):
        found = keep_nearest(nearest, gamma)
        for part, expected in zip(found, plain.matches(*ends, gamma), strict=True):
            assert torch.equal(part, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("channels", [3, 64, 100])
def test_ties_go_to_the_lower_index(channels: int, dtype: torch.dtype) -> None:
    """Small whole numbers make many distances exactly equal, whatever the order of summation."""
    a, b = (torch.randint(0, 2, (4, cells, channels)).to(dtype) for cells in (49, 36))
    a[:, 30:], b[:, 20:] = a[:, :1], b[:, 3:4]
    for nearest, ends in zip(nearest_both_ways(a, b), ((a, b), (b, a)), strict=True):
        found = keep_nearest(nearest, 10)
        for part, expected in zip(found, plain.matches(*ends, 10), strict=True):
            assert torch.equal(part, expected)


def test_copies_of_a_cell_are_equally_near() -> None:
    a = torch.randn(2, 36, 129) * 5 + 50
    b = torch.randn(2, 1, 129).expand(2, 49, 129) * 3
    a_to_b, b_to_a = nearest_both_ways(a, b)
    assert bool((a_to_b.indices_nc == 0).all())
    assert torch.equal(keep_nearest(b_to_a, 5)[0], torch.arange(5).expand(2, 5))


def test_a_common_offset_does_not_blur_distances() -> None:
    """In float32 the difference of squares would lose every digit here."""
    a, b = (torch.randint(-50, 50, (2, 20, 8)) / 64 + 1000.0 for _ in range(2))
    for nearest, ends in zip(nearest_both_ways(a, b), ((a, b), (b, a)), strict=True):
        for part, expected in zip(keep_nearest(nearest, 7), plain.matches(*ends, 7), strict=True):
            assert torch.equal(part, expected)
