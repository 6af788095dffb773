"""The global part of the loss (paper, equations 4 to 6), and the regularisation that both parts share.

Shape letters: n samples of this rank, s slots, d channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vicregl_fast.losses.config import Coefficients
from vicregl_fast.losses.directions import ViewPair
from vicregl_fast.losses.gather import gather_batch, own_rows
from vicregl_fast.losses.statistics import centre, covariance, invariance, variance


@dataclass(frozen=True)
class Terms:
    """The three terms of a criterion, scalars with coefficients applied."""

    invariance: Tensor
    variance: Tensor
    covariance: Tensor


def regularise(z_nsd: Tensor, coefficients: Coefficients) -> Tensor:
    """Variance and covariance over the global batch, coefficients applied, mean over slots: [2].

    A term whose coefficient is zero is not formed.
    """
    terms = [z_nsd.new_zeros(()), z_nsd.new_zeros(())]
    if coefficients.variance or coefficients.covariance:
        x_snd = centre(gather_batch(z_nsd).transpose(0, 1))
        if coefficients.variance:
            terms[0] = coefficients.variance * variance(x_snd).mean()
        if coefficients.covariance:
            own = own_rows(x_snd.shape[-2])
            terms[1] = coefficients.covariance * covariance(x_snd, own).mean()
    return torch.stack(terms)


def global_terms(embeddings: Sequence[Tensor], pairs: Sequence[ViewPair], coefficients: Coefficients) -> Terms:
    """Weighted sum of invariances over ``pairs``; mean of variance and covariance over views [n, d]."""
    attraction = torch.stack(
        [pair.weight * invariance(embeddings[pair.first], embeddings[pair.second]) for pair in pairs]
    ).sum()
    spread = torch.stack([regularise(z_nd.unsqueeze(1), coefficients) for z_nd in embeddings]).mean(0)
    return Terms(coefficients.invariance * attraction, spread[0], spread[1])
