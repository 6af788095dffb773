"""Nearest neighbours by features against brute force, with ties."""

import pytest
import torch
from torch import Tensor

from tests.losses import plain
from vicregl_fast.geometry.directions import Direction
from vicregl_fast.geometry.matches import Matches
from vicregl_fast.losses.feature_matching import match_features


def both_ways(a: Tensor, b: Tensor, gamma: int | None) -> list[tuple[Matches, tuple[Tensor, Tensor]]]:
    """The matches of a's cells in b and of b's cells in a, with the maps in that order."""
    there, back = Direction(0, 1, gamma, 0.5), Direction(1, 0, gamma, 0.5)
    matches = match_features([a, b], [there, back])
    return [(matches[there], (a, b)), (matches[back], (b, a))]


@pytest.mark.parametrize("gamma", [1, 4, 8, 9, 30, None])
@pytest.mark.parametrize("cells_b", [9, 4, 16])
def test_agrees_with_brute_force(cells_b: int, gamma: int | None) -> None:
    a = torch.randn(3, 9, 5, dtype=torch.float64) + 100
    b = torch.randn(3, cells_b, 5, dtype=torch.float64) + 100
    for found, ends in both_ways(a, b, gamma):
        for part, expected in zip(found, plain.matches(*ends, gamma), strict=True):
            assert torch.equal(part, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("channels", [3, 64, 100])
def test_ties_go_to_the_lower_index(channels: int, dtype: torch.dtype) -> None:
    """Small whole numbers make many distances exactly equal, whatever the order of summation."""
    a, b = (torch.randint(0, 2, (4, cells, channels)).to(dtype) for cells in (49, 36))
    a[:, 30:], b[:, 20:] = a[:, :1], b[:, 3:4]
    for found, ends in both_ways(a, b, 10):
        for part, expected in zip(found, plain.matches(*ends, 10), strict=True):
            assert torch.equal(part, expected)


def test_copies_of_a_cell_are_equally_near() -> None:
    a = torch.randn(2, 36, 129) * 5 + 50
    b = torch.randn(2, 1, 129).expand(2, 49, 129) * 3
    (there, _), (back, _) = both_ways(a, b, 5)
    assert bool((there[1] == 0).all())
    assert torch.equal(back[0], torch.arange(5).expand(2, 5))


def test_a_common_offset_does_not_blur_distances() -> None:
    """In float32 the difference of squares would lose every digit here."""
    a, b = (torch.randint(-50, 50, (2, 20, 8)) / 64 + 1000.0 for _ in range(2))
    for found, ends in both_ways(a, b, 7):
        for part, expected in zip(found, plain.matches(*ends, 7), strict=True):
            assert torch.equal(part, expected)


@pytest.mark.parametrize("gamma", [3, None])
def test_many_views_at_once_agree_with_brute_force(gamma: int | None) -> None:
    maps = [torch.randn(3, cells, 5, dtype=torch.float64) for cells in (9, 16, 4, 4, 4)]
    directions = [Direction(a, b, gamma, 0.1) for a in range(5) for b in range(5) if a != b and min(a, b) < 2]
    matches = match_features(maps, directions)
    assert list(matches) and set(matches) == set(directions)
    for direction, found in matches.items():
        expected = plain.matches(maps[direction.query], maps[direction.neighbour], gamma)
        assert all(torch.equal(part, right) for part, right in zip(found, expected, strict=True)), direction
