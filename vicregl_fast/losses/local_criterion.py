"""The local part of the loss (paper, equations 4 to 6): VICReg between matched cells, slot by slot.

Slot t of a direction holds, for every sample, the t-th query cell in cell order and its neighbour;
statistics run over the samples of each slot. Shape letters: n samples, c cells, g matches (slots), d
channels.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from vicregl_fast.losses.config import Coefficients
from vicregl_fast.losses.directions import Direction
from vicregl_fast.losses.feature_matching import Nearest, keep_nearest, nearest_both_ways
from vicregl_fast.losses.global_criterion import Terms, regularise
from vicregl_fast.losses.statistics import invariance

Matches = tuple[Tensor, Tensor]  # queries and neighbours, int64 [n, g]


def match_features(maps: Sequence[Tensor], directions: Iterable[Direction]) -> dict[Direction, Matches]:
    """Matches by nearest local embeddings; one distance matrix for the two directions of a pair of views."""
    nearest: dict[tuple[int, int], Nearest] = {}
    matches = {}
    for direction in directions:
        a, b = direction.query, direction.neighbour
        if (a, b) not in nearest:
            nearest[a, b], nearest[b, a] = nearest_both_ways(maps[a], maps[b])
        matches[direction] = keep_nearest(nearest[a, b], direction.gamma)
    return matches


class LocalCriterion:
    """Compares matched cells of the views of one step; ``maps`` are [n, c, d] in float32 or float64."""

    def __init__(self, maps: Sequence[Tensor], coefficients: Coefficients) -> None:
        self._maps = maps
        self._coefficients = coefficients
        self._regularised_maps: dict[int, Tensor] = {}

    def terms(self, matches: Mapping[Direction, Matches], directions: Iterable[Direction]) -> Terms:
        """The sum over ``directions``, each with its weight, of the three terms of its matched cells."""
        weighted = [direction.weight * self._compare(direction, *matches[direction]) for direction in directions]
        return Terms(*torch.stack(weighted).sum(0).unbind())

    def _compare(self, direction: Direction, queries_ng: Tensor, neighbours_ng: Tensor) -> Tensor:
        """The three terms of one direction: [3]."""
        map_ncd = self._maps[direction.query]
        whole = queries_ng.shape[1] == map_ncd.shape[1]
        a_ngd = map_ncd if whole else _take(map_ncd, queries_ng)
        b_ngd = _take(self._maps[direction.neighbour], neighbours_ng)
        if whole:
            spread = (self._regularise_map(direction.query) + regularise(b_ngd, self._coefficients)) / 2
        else:
            spread = regularise(torch.cat([a_ngd, b_ngd], dim=1), self._coefficients)
        return torch.cat([self._coefficients.invariance * invariance(a_ngd, b_ngd).mean()[None], spread])

    def _regularise_map(self, view: int) -> Tensor:
        """All cells of a view as queries: the same whatever view they look into, so formed once."""
        if view not in self._regularised_maps:
            self._regularised_maps[view] = regularise(self._maps[view], self._coefficients)
        return self._regularised_maps[view]


def _take(map_ncd: Tensor, cells_ng: Tensor) -> Tensor:
    return map_ncd.gather(1, cells_ng.unsqueeze(-1).expand(-1, -1, map_ncd.shape[2]))
