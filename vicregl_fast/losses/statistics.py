"""Invariance, variance and covariance of VICReg (Bardes, Ponce, LeCun, ICLR 2022), batched over slots.

Shape suffixes: s any leading dimensions (slots), n samples of the global batch, d channels.
Statistics are formed in float32 at least, whatever the autocast; float64 stays float64.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dataprep.errors import UserError

STD_TARGET = 1.0
VARIANCE_FLOOR = 1e-4


def widen(x: Tensor) -> Tensor:
    """``x`` in the precision of statistics: float64 as it is, everything else in float32."""
    return x if x.dtype == torch.float64 else x.float()


def invariance(a_snd: Tensor, b_snd: Tensor) -> Tensor:
    """Mean squared difference of corresponding entries, for each slot: [...]."""
    return (widen(a_snd) - widen(b_snd)).square().mean((-2, -1))


def centre(z_snd: Tensor) -> Tensor:
    """Takes the mean over samples away from each column; what variance and covariance start from.

    The mean passes no gradient back: theirs has zero mean over the samples already, and a rank that forms
    only the gradient of its own rows must not subtract the mean of those.

    Raises:
        UserError: for a single sample, which has no variance.
    """
    if z_snd.shape[-2] < 2:
        raise UserError(
            f"variance and covariance need at least 2 samples in the global batch, not {z_snd.shape[-2]}: "
            "raise --batch_size"
        )
    z_snd = widen(z_snd)
    return z_snd - z_snd.detach().mean(-2, keepdim=True)


def variance(x_snd: Tensor) -> Tensor:
    """Mean over columns of max(0, 1 - standard deviation), for each slot of centred ``x_snd``: [...]."""
    variances = x_snd.square().sum(-2) / (x_snd.shape[-2] - 1)
    return torch.relu(STD_TARGET - torch.sqrt(variances + VARIANCE_FLOOR)).mean(-1)


def covariance(x_snd: Tensor, own: slice | None = None) -> Tensor:
    """Sum of squared off-diagonal covariances over d, for each slot of centred ``x_snd``: [...].

    X X^T and X^T X have the same sum of squares. ``own`` names the rows of this rank when ``x_snd`` holds
    the samples of all (None: all are its own). With no more own rows than channels, a rank forms only those
    rows of X X^T, else the whole X^T X. The mean of the value over ranks is the covariance term; the
    gradient is that of the whole term with respect to the own rows, and zero elsewhere, as ``gather_batch``
    needs it.
    """
    return _Covariance.apply(x_snd, own or slice(0, x_snd.shape[-2]))


class _Covariance(torch.autograd.Function):
    """Half of autograd's products, since the Gram matrix is symmetric, and none for other ranks' rows."""

    @staticmethod
    def forward(ctx: Any, x_snd: Tensor, own: slice) -> Tensor:
        count, channels = x_snd.shape[-2:]
        own_snd = x_snd[..., own, :]
        ctx.own, ctx.by_rows = own, own_snd.shape[-2] <= channels
        ctx.scale = 1.0 / ((count - 1) ** 2 * channels)
        with torch.autocast(x_snd.device.type, enabled=False):
            if ctx.by_rows:
                gram = own_snd @ x_snd.mT
                diagonal_sd = x_snd.square().sum(-2)
                share = own_snd.shape[-2] / count
                value = gram.square().sum((-2, -1)) / share - diagonal_sd.square().sum(-1)
                ctx.save_for_backward(x_snd, gram, diagonal_sd)
            else:
                gram = x_snd.mT @ x_snd
                gram.diagonal(dim1=-2, dim2=-1).zero_()
                value = gram.square().sum((-2, -1))
                ctx.save_for_backward(x_snd, gram)
        return value * ctx.scale

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        x_snd, gram, *diagonal = ctx.saved_tensors
        own_snd = x_snd[..., ctx.own, :]
        with torch.autocast(x_snd.device.type, enabled=False):
            product = gram @ x_snd if ctx.by_rows else own_snd @ gram
        if ctx.by_rows:
            product -= own_snd * diagonal[0].unsqueeze(-2)
        product *= (4.0 * ctx.scale * gradient)[..., None, None]
        if own_snd.shape == x_snd.shape:
            return product, None
        whole = torch.zeros_like(x_snd)
        whole[..., ctx.own, :] = product
        return whole, None
