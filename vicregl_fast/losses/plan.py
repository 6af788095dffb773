"""Which views are compared with which, each comparison once.

The loss averages over ordered pairs (i, j) of views, i large, j any other (paper, equations 4 to 6). The two ordered
pairs of two large views share terms. These are merged here into one term with the sum of their weights, so that
nothing is formed twice.
"""

from collections import defaultdict
from dataclasses import dataclass

from dataprep.errors import UserError
from vicregl_fast.geometry.directions import LARGE_VIEWS, Direction
from vicregl_fast.losses.config import LossConfig, Switches


@dataclass(frozen=True)
class ViewPair:
    """Two views whose global embeddings are compared.

    Attributes:
        first, second: numbers of the views, first < second.
        weight: the pair's share in the global invariance.
    """

    first: int
    second: int
    weight: float


@dataclass(frozen=True)
class DirectionPlan:
    """All comparisons of one step; those that the configuration switches off are absent.

    Attributes:
        location: directions of location matching.
        feature: directions of feature matching.
        pairs: of the global criterion.
    """

    location: tuple[Direction, ...]
    feature: tuple[Direction, ...]
    pairs: tuple[ViewPair, ...]


def plan_directions(config: LossConfig, num_views: int) -> DirectionPlan:
    """Lists the comparisons between views, of which the first ``LARGE_VIEWS`` are large.

    The weights of ``location``, of ``feature`` and of ``pairs``, unless switched off, each sum to 1.

    Raises:
        UserError: if there are fewer than two views.
    """
    if num_views < 2:
        raise UserError(f"the loss compares views, and there is only {num_views}: use a recipe with two or more")
    ordered = [(i, j) for i in range(min(LARGE_VIEWS, num_views)) for j in range(num_views) if j != i]
    switches = config.switches()
    pairs = _merge_pairs(ordered) if config.alpha > 0 else ()
    if config.alpha == 1:
        return DirectionPlan((), (), pairs)

    location: dict[tuple[int, int, int | None], float] = defaultdict(float)
    feature: dict[tuple[int, int, int | None], float] = defaultdict(float)
    for i, j in ordered:
        for query, neighbour in ((i, j), (j, i)):
            gamma = _gamma(config, switches, large=query < LARGE_VIEWS, leads=query == i)
            if config.location:
                location[query, neighbour, gamma] += 0.5 / len(ordered)
            if config.feature:
                kept = gamma if switches.feature_keeps == "gamma" else None
                feature[query, neighbour, kept] += 0.5 / len(ordered)
    return DirectionPlan(_directions(location), _directions(feature), pairs)


def _gamma(config: LossConfig, switches: Switches, large: bool, leads: bool) -> int:
    takes_large = large if switches.gamma_by == "query" else leads
    return config.gamma_large if takes_large else config.gamma_small


def _merge_pairs(ordered: list[tuple[int, int]]) -> tuple[ViewPair, ...]:
    weights: dict[tuple[int, int], float] = defaultdict(float)
    for i, j in ordered:
        weights[min(i, j), max(i, j)] += 1.0 / len(ordered)
    return tuple(ViewPair(first, second, weight) for (first, second), weight in weights.items())


def _directions(weights: dict[tuple[int, int, int | None], float]) -> tuple[Direction, ...]:
    return tuple(Direction(*ends, weight) for ends, weight in weights.items())
