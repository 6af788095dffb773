"""Whether features have collapsed: how far they spread, and how much they repeat one another.

Shape letters: s slots, n samples of this rank, d channels.
"""

import torch
from torch import Tensor

from vicregl_fast.losses.batch_statistics import spread
from vicregl_fast.losses.collectives import gather_samples, mean_over_ranks, sum_over_ranks, world_size

SMALLEST_STD = 1e-12  # below it a feature is constant, and correlates with none
RANKED_ROWS = 512  # of the global batch, of which RankMe is taken: more rows cost their cube


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


def effective_rank(z_snd: Tensor) -> Tensor:
    """RankMe: the exponential of the entropy of the singular values, divided by their sum, from 1 to min(rows, d).

    It is k for k equally large directions, and near 1 where features have collapsed onto one. Source: Garrido et al.,
    *RankMe*, ICML 2023, equation 1, here without the small constant that avoids log(0).

    The rows are those of all slots and ranks, at most ``RANKED_ROWS``, evenly spread; they bound the value. The
    singular values are the square roots of the eigenvalues of the smaller of ``X X^T`` and ``X^T X``, in float64, since
    with float32's rounding the many that are zero would add up.

    Args:
        z_snd: this rank's samples.

    Returns: a scalar, the same on every rank; NaN where a value is non-finite.
    """
    rows_nd = z_snd.flatten(0, 1)
    share = min(len(rows_nd), max(1, RANKED_ROWS // world_size()))
    spread_out = torch.arange(share, device=z_snd.device) * len(rows_nd) // share
    x_nd = gather_samples(rows_nd[spread_out][None])[0].double()
    gram = x_nd @ x_nd.T if len(x_nd) < x_nd.shape[1] else x_nd.T @ x_nd
    finite = gram.isfinite().all()
    values = torch.linalg.eigvalsh(torch.where(finite, gram, 0.0)).clamp_min(0).sqrt()
    shares = values / values.sum().clamp_min(torch.finfo(values.dtype).tiny)
    rank = torch.special.entr(shares).sum().exp().to(z_snd.dtype)
    return torch.where(finite, rank, torch.nan)
