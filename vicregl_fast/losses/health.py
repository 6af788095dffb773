"""Whether features have collapsed: their spread and how much they repeat one another."""

import torch
from torch import Tensor

from vicregl_fast.losses.batch_statistics import spread
from vicregl_fast.losses.collectives import mean_over_ranks, sum_over_ranks, world_size

SMALLEST_STD = 1e-12  # below it a feature is constant, and correlates with none


def spread_and_correlation(z_snd: Tensor) -> tuple[Tensor, Tensor]:
    """Over the global batch, means over slots of [s, n, d]: standard deviation, and correlation between features.

    The first is the mean over features. The second is the root mean square of the correlation coefficients of two
    different features: 1 where all say the same, about 1/sqrt(n - 1) where they are independent: chance in n samples.
    """
    batch = z_snd.shape[1] * world_size()
    mean = sum_over_ranks(z_snd.sum(1, keepdim=True)) / batch
    variances = sum_over_ranks((z_snd - mean).square().sum(1, keepdim=True)) / (batch - 1)
    standardised = (z_snd - mean) / variances.sqrt().clamp_min(SMALLEST_STD)
    squares_s = mean_over_ranks(spread(standardised, None).covariance_s)
    return variances.sqrt().mean(), torch.sqrt(squares_s / max(1, z_snd.shape[2] - 1)).mean()
