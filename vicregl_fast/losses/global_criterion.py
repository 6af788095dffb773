"""The global part of the loss (paper, equations 4 to 6), with its gradient.

Shape letters: v views, n samples of this rank, d channels, p pairs of views, 2 the ends of a pair, t
terms; to ``batch_statistics``, views are slots s.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from vicregl_fast.losses.batch_statistics import SpreadWeights, spread
from vicregl_fast.losses.blocks import constant
from vicregl_fast.losses.config import Criterion, SimCLR, VICReg
from vicregl_fast.losses.contrast import contrast
from vicregl_fast.losses.plan import ViewPair
from vicregl_fast.losses.terms import Terms


def global_terms(z_vnd: Tensor, pairs: Sequence[ViewPair], criterion: Criterion, gradient: bool) -> Terms:
    """The criterion's terms [t] in the order of ``terms.names_of``, and the gradient of their sum.

    VICReg's terms are the weighted sum of invariances over ``pairs``, and the means of variance and covariance over
    views. SimCLR's is the weighted sum of contrasts over ``pairs``.

    Args:
        z_vnd: global embeddings of every view, in float32 or float64.
        pairs: which views are compared.
        criterion: what compares them.
        gradient: whether to form the gradient, one [n, d] a view.
    """
    if isinstance(criterion, SimCLR):
        return _simclr(z_vnd, pairs, criterion, gradient)
    return _vicreg(z_vnd, pairs, criterion, gradient)


def _vicreg(z_vnd: Tensor, pairs: Sequence[ViewPair], criterion: VICReg, gradient: bool) -> Terms:
    views = len(z_vnd)
    share = z_vnd.new_full((views,), 1.0 / views)
    weights = SpreadWeights(criterion.variance * share, criterion.covariance * share)
    formed = spread(z_vnd.clone(), weights if gradient else None, covariance=criterion.covariance > 0)
    gradient_vnd = formed.gradient_snd
    invariance = z_vnd.new_zeros(())
    for first, weights_v in _weights_by_first(z_vnd, pairs):
        differences = z_vnd[first + 1 :] - z_vnd[first]
        squares_v = differences.square().mean((1, 2))
        invariance = invariance + criterion.invariance * (weights_v @ squares_v)
        if gradient_vnd is not None:
            differences *= (2 * criterion.invariance / z_vnd[0].numel() * weights_v)[:, None, None]
            gradient_vnd[first + 1 :] += differences
            gradient_vnd[first] -= differences.sum(0)
    variance, covariance = criterion.variance * formed.variance_s, criterion.covariance * formed.covariance_s
    values = torch.stack([invariance, variance.mean(), covariance.mean()])
    return Terms(values, () if gradient_vnd is None else gradient_vnd.unbind())


def _weights_by_first(z_vnd: Tensor, pairs: Sequence[ViewPair]) -> Iterator[tuple[int, Tensor]]:
    """For every view that is the first of a pair: the weights of its pairs with the views after it (0: no pair)."""
    for first in sorted({pair.first for pair in pairs}):
        weights = {pair.second: pair.weight for pair in pairs if pair.first == first}
        behind = tuple(weights.get(second, 0.0) for second in range(first + 1, len(z_vnd)))
        yield first, constant(behind, z_vnd.dtype, z_vnd.device)


def _simclr(z_vnd: Tensor, pairs: Sequence[ViewPair], criterion: SimCLR, gradient: bool) -> Terms:
    firsts_p, seconds_p = zip(*((pair.first, pair.second) for pair in pairs), strict=True)
    ends_2p = [constant(ends_p, torch.int64, z_vnd.device) for ends_p in (firsts_p, seconds_p)]
    weights_p = constant(tuple(pair.weight for pair in pairs), z_vnd.dtype, z_vnd.device)
    formed = contrast(
        torch.stack([z_vnd[end_p] for end_p in ends_2p], dim=2), criterion.temperature, weights_p if gradient else None
    )
    values = (weights_p @ formed.values_s)[None]
    if formed.gradient_sn2d is None:
        return Terms(values, ())
    gradient_vnd = torch.zeros_like(z_vnd)
    for end_p, gradient_pnd in zip(ends_2p, formed.gradient_sn2d.unbind(2), strict=True):
        gradient_vnd.index_add_(0, end_p, gradient_pnd)
    return Terms(values, gradient_vnd.unbind())
