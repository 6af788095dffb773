"""Whether features have collapsed: how far they spread, and how much they repeat one another.

Shape letters: s slots, n samples of this rank, d channels.
"""

import torch
from torch import Tensor

from vicregl_fast.losses.batch_statistics import spread
from vicregl_fast.losses.collectives import mean_over_ranks, sum_over_ranks, world_size

SMALLEST_STD = 1e-12  # below it a feature is constant, and correlates with none


def spread_and_correlation(z_snd: Tensor) -> tuple[Tensor, Tensor]:
    """Standard deviation of features and correlation between them over the global batch, each the mean over slots.

    The first is the mean over channels. The second is the root mean square of the correlation coefficients of two
    different channels: it is 1 where all channels say the same, and about 1/sqrt(n - 1) for independent ones, which
    correlate that much by chance in a global batch of n samples.

    Args:
        z_snd: this rank's samples.

    Returns: two scalars, the same on every rank.
    """
    batch = z_snd.shape[1] * world_size()
    mean = sum_over_ranks(z_snd.sum(1, keepdim=True)) / batch
    variances = sum_over_ranks((z_snd - mean).square().sum(1, keepdim=True)) / (batch - 1)
    standardised = (z_snd - mean) / variances.sqrt().clamp_min(SMALLEST_STD)
    squares_s = mean_over_ranks(spread(standardised, None).covariance_s)
    return variances.sqrt().mean(), torch.sqrt(squares_s / max(1, z_snd.shape[2] - 1)).mean()
