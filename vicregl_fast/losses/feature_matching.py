"""Feature matching: each cell's nearest neighbour in the other view, by distance between local embeddings.

The feature-based matching of the paper. Shape letters: n samples, c cells of a map, g matches kept, d
channels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from vicregl_fast.losses.statistics import widen


@dataclass(frozen=True)
class Nearest:
    """Each query cell's distance [n, c] to its nearest neighbour and that one's index [n, c]."""

    distances_nc: Tensor
    indices_nc: Tensor


@torch.no_grad()
def nearest_both_ways(maps_a_ncd: Tensor, maps_b_ncd: Tensor) -> tuple[Nearest, Nearest]:
    """Nearest neighbours of a's cells in b and of b's cells in a; of equally near ones the lower index.

    Distances are formed from differences, never as |a|^2 + |b|^2 - 2ab: that form rounds equal distances
    apart.
    """
    distances = torch.cdist(
        widen(maps_a_ncd.detach()).contiguous(),
        widen(maps_b_ncd.detach()).contiguous(),
        compute_mode="donot_use_mm_for_euclid_dist",
    )
    return Nearest(*distances.min(dim=2)), Nearest(*distances.min(dim=1))


@torch.no_grad()
def keep_nearest(nearest: Nearest, gamma: int | None) -> tuple[Tensor, Tensor]:
    """The ``gamma`` closest matches of each sample in the order of the query cells (None: all of them).

    Returns:
        queries and neighbours, int64 [n, g] with g = min(gamma, c). Of equally close matches the lower
        query stays.
    """
    samples, cells = nearest.distances_nc.shape
    if gamma is None or gamma >= cells:
        queries = torch.arange(cells, device=nearest.indices_nc.device).expand(samples, cells)
        return queries, nearest.indices_nc
    queries = nearest.distances_nc.sort(dim=1, stable=True).indices[:, :gamma].sort(dim=1).values
    return queries, nearest.indices_nc.gather(1, queries)
