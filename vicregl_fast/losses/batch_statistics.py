"""Variance and covariance of the global batch, with their gradient, at the least arithmetic and traffic.

Source: VICReg (Bardes, Ponce, LeCun, ICLR 2022), section 4.1. Let X be a slot's samples [N, d], centred. Then ``X X^T``
and ``X^T X`` have the same sum of squares, so the smaller one is formed:

    c = (||X X^T||^2 - sum_k (sum_n x_nk^2)^2) / ((N - 1)^2 d)

The gradient is formed in the forward pass, where all that it needs is at hand, so that no product has to be kept:

    dc/dX = 4 (X X^T X - X diag(sum_n x_nk^2)) / ((N - 1)^2 d)        (with X X^T X formed as X (X^T X) where d < N)
    dv/dx_nk = -x_nk / (sigma_k (N - 1) d)   if sigma_k < 1, else 0,   with sigma_k = sqrt(Var_k + 1e-4)

Both have columns that sum to zero, so they are also the gradients with respect to the samples before centring.

Shape letters: s slots, n samples of this rank, N = W * n samples of the global batch on W ranks, d channels, 2 the two
terms (variance, covariance).

Across ranks there are three forms. The table gives, for one rank and step with forward and backward together, the
floating-point operations and the float32 bytes through the link of the busiest rank:

=========  =========================================  ==================  =============================================
form       what a rank forms                          operations          bytes
=========  =========================================  ==================  =============================================
rows       its n rows of each X X^T                   4 s n N d           4 s (N - n) d: all samples, no gradients
partial    its part of each X^T X                     4 s n d^2           8 s d^2 (W - 1)/W: the sums, no gradients
slots      all of its ceil(s/W) slots                 4 ceil(s/W) N d     8 ceil(s/W) (N - n) d: samples, and their
                                                      min(N, d)           gradients back
=========  =========================================  ==================  =============================================

``choose_form`` takes the form of the least time, at ``OPERATIONS_PER_BYTE`` operations in the time of a byte.

An example is batch 2048 on 32 ranks with two views and heads of 8192 and 512 channels (20 matches a direction by
location and as many by feature, both sides: 160 slots). The global criterion takes rows: 8.6 GFLOP and 130 MB a rank
(partial sums would be 34 GFLOP and 1.04 GB). The local criterion takes slots: 10.7 GFLOP and 41 MB (rows: 43 GFLOP and
650 MB; partial sums: 325 MB). The distances between cells for feature matching take 0.2 GFLOP more. If every rank
gathered all samples and formed the full covariances, forward and backward, that would be 1.65 TFLOP.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dataprep.errors import UserError
from vicregl_fast.losses.collectives import gather_samples, over_own_slots, own_rows, sum_over_ranks, world_size

STD_TARGET = 1.0
VARIANCE_FLOOR = 1e-4
OPERATIONS_PER_BYTE = 200.0  # an H100: some 60 TFLOP/s in float32, 300 GB/s on NVLink; on a network bytes cost more
Form = Literal["rows", "partial", "slots"]
FORMS: tuple[Form, ...] = ("rows", "partial", "slots")


@dataclass(frozen=True)
class Spread:
    """Variance and covariance terms of every slot.

    Attributes:
        variance_s, covariance_s: this rank's shares; their means over ranks are the terms.
        gradient_snd: of the weighted sum of all terms with respect to this rank's samples, times W, since
            DistributedDataParallel averages gradients over ranks; None where none was asked for.
    """

    variance_s: Tensor
    covariance_s: Tensor
    gradient_snd: Tensor | None


@dataclass(frozen=True)
class SpreadWeights:
    """The weights of each slot's terms in the sum whose gradient is formed.

    Attributes:
        variance_s, covariance_s: non-negative.
    """

    variance_s: Tensor
    covariance_s: Tensor


@dataclass(frozen=True)
class Cost:
    """What a form takes of the busiest rank in one step (the table above).

    Attributes:
        operations: floating-point operations.
        bytes_moved: through the rank's link, in float32.
    """

    operations: float
    bytes_moved: float

    @property
    def time(self) -> float:
        """In units of one operation."""
        return self.operations + OPERATIONS_PER_BYTE * self.bytes_moved


def cost(form: Form, slots: int, samples: int, channels: int, world: int) -> Cost:
    """The cost of a form.

    Args:
        form: which of the three.
        slots: s.
        samples: n, of each rank.
        channels: d.
        world: W.
    """
    batch, others = world * samples, (world - 1) / world
    if form == "rows":
        return Cost(4 * slots * samples * batch * channels, 4 * slots * batch * channels * others)
    if form == "partial":
        return Cost(4 * slots * samples * channels**2, 8 * slots * channels**2 * others)
    own = -(-slots // world)
    return Cost(4 * own * batch * channels * min(batch, channels), 8 * own * batch * channels * others)


def choose_form(slots: int, samples: int, channels: int, world: int) -> Form:
    """The form that takes the least time; every rank comes to the same answer. Arguments as of ``cost``."""
    return min(FORMS, key=lambda form: cost(form, slots, samples, channels, world).time)


def spread(z_snd: Tensor, weights: SpreadWeights | None, form: Form | None = None, covariance: bool = True) -> Spread:
    """Variance and covariance of each slot over the global batch.

    v is the mean over channels of max(0, 1 - sqrt(Var + 1e-4)), and c the sum of the squared off-diagonal covariances,
    divided by d.

    Args:
        z_snd: this rank's samples in float32 or float64, the same number on every rank. They are overwritten.
        weights: in the sum that is differentiated; None for no gradient.
        form: how the work is shared; None leaves the choice to ``choose_form``.
        covariance: whether this term is wanted. If not, it comes out as zero, and no product is formed.

    Raises:
        UserError: the global batch is a single sample, which has no variance.
    """
    slots, samples, channels = z_snd.shape
    world = world_size()
    if samples * world < 2:
        raise UserError(
            f"variance and covariance need at least 2 samples in the global batch, not {samples * world}: "
            "raise --batch_size"
        )
    if not covariance:
        return _variance_only(z_snd, weights, world)
    form = form or choose_form(slots, samples, channels, world)
    if form == "rows":
        return _from_samples(gather_samples(z_snd), own_rows(samples), weights)
    if form == "partial":
        return _from_channels(z_snd, weights, world, sum_over_ranks)
    return _by_slots(z_snd, weights)


def _from_samples(z_sNd: Tensor, own: slice, weights: SpreadWeights | None) -> Spread:
    """Forms the rows ``own`` of each X X^T, and leaves the other rows to the other ranks."""
    batch, channels = z_sNd.shape[1:]
    x_sNd = z_sNd.sub_(z_sNd.mean(1, keepdim=True))
    x_snd = x_sNd[:, own]
    # A rank's rows give 1/W of ||X X^T||^2 on average, and shares and gradients are averaged over ranks: hence W times
    # what the rows give. The diagonal's sum every rank knows whole, so its share is the sum itself.
    ranks = batch / x_snd.shape[1]
    columns = _Columns(x_sNd.square().sum(1), batch)
    gram_snN = torch.bmm(x_snd, x_sNd.mT)
    scale = 1.0 / ((batch - 1) ** 2 * channels)
    covariance_s = scale * (ranks * _sum_of_squares(gram_snN) - columns.squares_sd.square().sum(1))
    if weights is None:
        return Spread(columns.variance(), covariance_s, None)
    # W (w_c dc/dX + w_v dv/dX) = slope X X^T X - X diag(slope sum_n x_nk^2 - W w_v dv/dx_nk / x_nk)
    slopes_s = 4 * scale * ranks * weights.covariance_s
    damping_sd = slopes_s[:, None] * columns.squares_sd - ranks * columns.variance_slope(weights.variance_s)
    gram_snN *= slopes_s[:, None, None]
    gradient_snd = (x_snd * damping_sd.unsqueeze(1)).baddbmm_(gram_snN, x_sNd, beta=-1)
    return Spread(columns.variance(), covariance_s, gradient_snd)


def _from_channels(
    z_snd: Tensor, weights: SpreadWeights | None, ranks: int, total: Callable[[Tensor], Tensor]
) -> Spread:
    """Forms each X^T X.

    Args:
        z_snd: this rank's samples.
        weights: in the sum that is differentiated.
        ranks: that hold the batch, each a part of the samples.
        total: sums a tensor over these ranks.
    """
    batch, channels = ranks * z_snd.shape[1], z_snd.shape[2]
    x_snd = z_snd.sub_(total(z_snd.sum(1, keepdim=True)) / batch)
    gram_sdd = total(torch.bmm(x_snd.mT, x_snd))
    columns = _Columns(gram_sdd.diagonal(dim1=1, dim2=2).clone(), batch)
    gram_sdd.diagonal(dim1=1, dim2=2).zero_()
    scale = 1.0 / ((batch - 1) ** 2 * channels)
    covariance_s = scale * _sum_of_squares(gram_sdd)
    if weights is None:
        return Spread(columns.variance(), covariance_s, None)
    # W (w_c dc/dX + w_v dv/dX) = X (slope offdiag(X^T X)) + X diag(W w_v dv/dx_nk / x_nk)
    gram_sdd *= (4 * scale * ranks * weights.covariance_s)[:, None, None]
    gradient_snd = x_snd * (ranks * columns.variance_slope(weights.variance_s)).unsqueeze(1)
    return Spread(columns.variance(), covariance_s, gradient_snd.baddbmm_(x_snd, gram_sdd))


def _variance_only(z_snd: Tensor, weights: SpreadWeights | None, ranks: int) -> Spread:
    """The variance alone, from sums over ranks; the covariance is zero."""
    batch = ranks * z_snd.shape[1]
    x_snd = z_snd.sub_(sum_over_ranks(z_snd.sum(1, keepdim=True)) / batch)
    columns = _Columns(sum_over_ranks(x_snd.square().sum(1)), batch)
    none_s = columns.squares_sd.new_zeros(len(z_snd))
    if weights is None:
        return Spread(columns.variance(), none_s, None)
    slopes_sd = ranks * columns.variance_slope(weights.variance_s)
    return Spread(columns.variance(), none_s, x_snd.mul_(slopes_sd.unsqueeze(1)))


def _by_slots(z_snd: Tensor, weights: SpreadWeights | None) -> Spread:
    """Each rank forms some slots from the samples of all ranks, and sends their gradients back."""

    def form(z_sNd: Tensor, weights_2s: Tensor | None) -> tuple[Tensor, Tensor | None]:
        own = None if weights_2s is None else SpreadWeights(*weights_2s.unbind())
        if z_sNd.shape[1] <= z_sNd.shape[2]:
            formed = _from_samples(z_sNd, slice(None), own)
        else:
            formed = _from_channels(z_sNd, own, 1, lambda sums: sums)
        return torch.stack([formed.variance_s, formed.covariance_s]), formed.gradient_snd

    weights_2s = None if weights is None else torch.stack([weights.variance_s, weights.covariance_s])
    (variance_s, covariance_s), gradient_snd = over_own_slots(z_snd, weights_2s, form)
    return Spread(variance_s, covariance_s, gradient_snd)


@dataclass(frozen=True)
class _Columns:
    """The columns (channels) of centred samples.

    Attributes:
        squares_sd: the sum of each column's squares.
        batch: N, the samples that were summed over.
    """

    squares_sd: Tensor
    batch: int

    def _deviations(self) -> Tensor:
        """sqrt(Var + 1e-4) [s, d]."""
        return torch.sqrt(self.squares_sd / (self.batch - 1) + VARIANCE_FLOOR)

    def variance(self) -> Tensor:
        """The variance term [s] of each slot."""
        return torch.relu(STD_TARGET - self._deviations()).mean(1)

    def variance_slope(self, weights_s: Tensor) -> Tensor:
        """dv/dx_nk / x_nk [s, d], times each slot's weight: what x_nk is multiplied by in the gradient."""
        deviations = self._deviations()
        # The mean over d channels of 1 - sigma_k has the slope -1/d in sigma_k, and dsigma_k/dx_nk is
        # x_nk / (sigma_k (N - 1)).
        slopes = (deviations < STD_TARGET) / (deviations * ((1 - self.batch) * self.squares_sd.shape[1]))
        return slopes * weights_s[:, None]


def _sum_of_squares(gram: Tensor) -> Tensor:
    """The sum of squares [s] of every slot's matrix, in two stages: a single sum of so many values loses digits."""
    return torch.linalg.vector_norm(gram, dim=2).square().sum(1)
