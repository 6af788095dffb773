"""The loss written as it is defined (paper, equations 4 to 6): full covariance matrices, each ordered pair by itself.

This is the readable reference of ``vicregl_fast.losses``, and what its speed is compared with: VICReg's criterion with
the coefficients 25, 25 and 1, in one process. Shape letters: n samples, c cells, g matches (slots), d channels.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vicregl_fast.geometry.directions import LARGE_VIEWS, Direction
from vicregl_fast.geometry.matches import Matches
from vicregl_fast.losses.config import LossConfig


def direct_global(embeddings: Sequence[Tensor]) -> Tensor:
    """The global criterion, a scalar, of the global embeddings of each view, float [n, d]."""
    pairs = _ordered_pairs(len(embeddings))
    invariance = torch.stack([(embeddings[i] - embeddings[j]).square().mean() for i, j in pairs]).mean()
    spread = torch.stack([25 * _variance(z[None]) + _covariance(z[None]) for z in embeddings]).mean()
    return 25 * invariance + spread


def direct_local(
    maps: Sequence[Tensor],
    location: Mapping[Direction, Matches[Tensor]],
    config: LossConfig,
) -> Tensor:
    """The local criterion, a scalar, in either preset; both ways of matching count.

    Args:
        maps: the local embeddings of each view, float [n, c, d].
        location: the location matches of every direction, int64 [n, g].
        config: the preset's switches, and how many matches are kept.
    """
    switches = config.switches()
    by_ends = {(d.query, d.neighbour, d.gamma): matches for d, matches in location.items()}
    pairs = _ordered_pairs(len(maps))
    total = maps[0].new_zeros(())
    for i, j in pairs:
        for a, b in ((i, j), (j, i)):
            keeps_more = a < LARGE_VIEWS if switches.gamma_by == "query" else a == i
            gamma = config.gamma_large if keeps_more else config.gamma_small
            kept_by_feature = gamma if switches.feature_keeps == "gamma" else maps[a].shape[1]
            by_feature = _nearest(maps[a].detach(), maps[b].detach(), kept_by_feature)
            for kept in (by_ends[a, b, gamma], by_feature):
                total = total + _criterion(_rows(maps[a], kept.queries), _rows(maps[b], kept.neighbours)) / 2
    return total / len(pairs)


def _ordered_pairs(views: int) -> list[tuple[int, int]]:
    """All (i, j) of different views, where i is a large one."""
    return [(i, j) for i in range(LARGE_VIEWS) for j in range(views) if j != i]


def _nearest(from_ncd: Tensor, to_ncd: Tensor, gamma: int) -> Matches[Tensor]:
    """Matches each cell with its nearest neighbour, and keeps the gamma closest matches in the order of the cells."""
    distances, neighbours = torch.cdist(from_ncd, to_ncd).min(dim=2)
    queries = distances.topk(min(gamma, from_ncd.shape[1]), largest=False).indices.sort(1).values
    return Matches(queries, neighbours.gather(1, queries))


def _rows(map_ncd: Tensor, cells_ng: Tensor) -> Tensor:
    """The embeddings of the chosen cells, [g, n, d]."""
    return torch.stack([map_cd[cells_g] for map_cd, cells_g in zip(map_ncd, cells_ng, strict=True)], dim=1)


def _criterion(a_gnd: Tensor, b_gnd: Tensor) -> Tensor:
    """VICReg's criterion of matched embeddings, averaged over slots; the spread is averaged over both sides."""
    spread = 25 * (_variance(a_gnd) + _variance(b_gnd)) + _covariance(a_gnd) + _covariance(b_gnd)
    return 25 * (a_gnd - b_gnd).square().mean() + spread / 2


def _variance(z_gnd: Tensor) -> Tensor:
    """Mean over slots and channels of max(0, 1 - sqrt(Var + 1e-4))."""
    return torch.relu(1 - torch.sqrt(z_gnd.var(dim=1) + 1e-4)).mean()


def _covariance(z_gnd: Tensor) -> Tensor:
    """Mean over slots of (1 / d) times the sum of the squared off-diagonal covariances."""
    x_gnd = z_gnd - z_gnd.mean(dim=1, keepdim=True)
    covariance_gdd = x_gnd.mT @ x_gnd / (x_gnd.shape[1] - 1)
    squares = covariance_gdd.square().sum() - covariance_gdd.diagonal(dim1=1, dim2=2).square().sum()
    return squares / (x_gnd.shape[2] * len(x_gnd))
