"""Feature matching: each cell's nearest neighbour in the other view, by distance between local embeddings.

Source: the paper, section 3, feature-based matching. Shape letters: n samples, c cells of a map, o other views, g
matches kept, d channels.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter

import torch
from torch import Tensor

from vicregl_fast.geometry.directions import Direction
from vicregl_fast.geometry.matches import Matches
from vicregl_fast.losses.blocks import block_bytes

EQUAL = 2.0**-44  # of the norms: smaller squared distances are rounding errors of float64


@dataclass(frozen=True)
class Nearest:
    """The nearest neighbour of each query cell.

    Attributes:
        squares: squared distance to it, float32 or float64 [..., c].
        indices: which cell it is, int64 [..., c].
    """

    squares: Tensor
    indices: Tensor


@torch.no_grad()
def nearest_both_ways(map_ncd: Tensor, others_nocd: Tensor) -> tuple[Nearest, Nearest]:
    """Nearest neighbours in both directions between one view's map and the maps of other views.

    Of equally near cells the one of lower index is taken.

    Args:
        map_ncd: of one view.
        others_nocd: of the others, all with the same number of cells.

    Returns: the neighbours [o, n, c] that the cells of ``map_ncd`` have in each other map, and those that the cells of
        each other map have in ``map_ncd``.
    """
    others, cells = others_nocd.shape[1:3]
    squares_ncoc = squared_distances(map_ncd, others_nocd.flatten(1, 2)).unflatten(2, (others, cells))
    there, back = squares_ncoc.min(dim=3), squares_ncoc.min(dim=1)
    return (
        Nearest(there.values.permute(2, 0, 1), there.indices.permute(2, 0, 1)),
        Nearest(back.values.transpose(0, 1), back.indices.transpose(0, 1)),
    )


def squared_distances(a_ncd: Tensor, b_ncd: Tensor) -> Tensor:
    """Squared distances [n, c of a, c of b] between all cells of two maps.

    Those of float64 maps are sums of squared differences. Others are formed as |a|^2 + |b|^2 - 2ab in float64, with b's
    first cell as the origin, and rounded to float32. So distances that are equal come out equal, but for one in
    millions, and ties are seen as ties.
    """
    if a_ncd.dtype == torch.float64:
        return torch.cdist(a_ncd, b_ncd.contiguous(), compute_mode="donot_use_mm_for_euclid_dist").square()
    samples = max(1, block_bytes(a_ncd.device) // (8 * (a_ncd[0].numel() + b_ncd[0].numel())))
    parts = []
    for a, b in zip(a_ncd.split(samples), b_ncd.split(samples), strict=True):
        origin = b[:, :1].double()
        a, b = a.double().sub_(origin), b.double().sub_(origin)
        norms = a.square().sum(2)[:, :, None] + b.square().sum(2)[:, None]
        squares = torch.baddbmm(norms, a, b.mT, alpha=-2)
        parts.append(torch.where(squares < EQUAL * norms, 0.0, squares).float())
    return torch.cat(parts)


@torch.no_grad()
def keep_nearest(nearest: Nearest, gamma: int | None) -> Matches[Tensor]:
    """The ``gamma`` closest matches of each sample, in the order of the query cells; all of them where it is None.

    Returns: int64 [..., g] with g = min(gamma, c). Of equally close matches the one of the lower query is kept.
    """
    cells = nearest.squares.shape[-1]
    if gamma is None or gamma >= cells:
        everything = torch.arange(cells, device=nearest.indices.device).expand_as(nearest.indices)
        return Matches(everything, nearest.indices)
    queries = nearest.squares.sort(dim=-1, stable=True).indices[..., :gamma].sort(dim=-1).values
    return Matches(queries, nearest.indices.gather(-1, queries))


def match_features(maps: Sequence[Tensor], directions: Iterable[Direction]) -> dict[Direction, Matches[Tensor]]:
    """The kept matches of every direction between views.

    Directions with as many cells and matches are worked on together. The distances between two views are formed once
    for both directions.

    Args:
        maps: local embeddings [n, c, d] of each view.
        directions: which are matched.

    Returns: int64 [n, g] for each direction.
    """
    alike: dict[tuple[int, int | None], list[Direction]] = defaultdict(list)
    for direction in directions:
        alike[maps[direction.query].shape[1], direction.gamma].append(direction)
    nearest = _nearest(maps, {(each.query, each.neighbour) for group in alike.values() for each in group})
    matches: dict[Direction, Matches[Tensor]] = {}
    for (_, gamma), group in alike.items():
        found = [nearest[each.query, each.neighbour] for each in group]
        stacked = Nearest(torch.stack([f.squares for f in found]), torch.stack([f.indices for f in found]))
        kept = keep_nearest(stacked, gamma)
        matches |= {each: kept.map(itemgetter(k)) for k, each in enumerate(group)}
    return matches


def _nearest(maps: Sequence[Tensor], ends: set[tuple[int, int]]) -> dict[tuple[int, int], Nearest]:
    """Nearest neighbours by (query view, neighbour view). One product serves a view and all partners of one grid."""
    partners: dict[tuple[int, int], list[int]] = defaultdict(list)
    for low, high in sorted({(min(pair), max(pair)) for pair in ends}):
        partners[low, maps[high].shape[1]].append(high)
    nearest = {}
    for (low, _), others in partners.items():
        there, back = nearest_both_ways(maps[low], torch.stack([maps[other] for other in others], dim=1))
        for k, other in enumerate(others):
            nearest[low, other] = Nearest(there.squares[k], there.indices[k])
            nearest[other, low] = Nearest(back.squares[k], back.indices[k])
    return nearest
