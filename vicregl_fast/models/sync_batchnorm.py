"""BatchNorm whose statistics are those of all processes: torch's on GPUs, and one for the CPU, where torch has none.

Shape letters: n samples of this rank, c channels, W ranks; ``...`` the places of an image, if there are any.
"""

from typing import Any, TypeVar

import torch
from timm.layers import convert_sync_batchnorm
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from vicregl_fast.losses.collectives import gather_samples, sum_over_ranks, world_size

Network = TypeVar("Network", bound=nn.Module)


def synchronise_batchnorm(network: Network, device: torch.device) -> Network:
    """Makes every BatchNorm of a network take its statistics over all ranks, which hold equally many samples.

    Parameters, buffers and their names stay. Evaluation is not affected. As without it, a rank's gradients are those of
    its own samples, for DistributedDataParallel to average.

    Args:
        network: on its device; it is changed, and so is no BatchNorm itself.
        device: where it computes.

    Returns:
        The network.
    """
    if device.type == "cuda":
        return convert_sync_batchnorm(network)  # type: ignore[return-value]  # whose root is no BatchNorm
    for module in network.modules():
        if isinstance(module, BatchNormAct2d):
            module.__class__ = _NormAndActOverRanks
        elif isinstance(module, _BatchNorm):
            module.__class__ = _NormOverRanks
    return network


class _NormOverRanks(_BatchNorm):
    def _check_input_dim(self, input: Tensor) -> None:
        """Takes any number of dimensions from 2, as ``nn.SyncBatchNorm`` does."""

    def forward(self, input: Tensor) -> Tensor:
        return _over_ranks(self, input) if self.training else super().forward(input)


class _NormAndActOverRanks(BatchNormAct2d):
    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.drop(_over_ranks(self, x))) if self.training else super().forward(x)


def _over_ranks(norm: _BatchNorm, x: Tensor) -> Tensor:
    """Normalises ``x``, [n, c, ...], by the statistics of all ranks, and updates the running ones of ``norm``."""
    with torch.no_grad():
        mean_c, variance_c = _moments(x)
        if norm.running_mean is not None and norm.running_var is not None:
            assert norm.num_batches_tracked is not None
            norm.num_batches_tracked.add_(1)
            momentum = 1 / norm.num_batches_tracked.item() if norm.momentum is None else norm.momentum
            count = world_size() * x.numel() // x.shape[1]
            norm.running_mean.lerp_(mean_c.to(norm.running_mean), momentum)
            norm.running_var.lerp_((variance_c * (count / max(count - 1, 1))).to(norm.running_var), momentum)
    return _Normalise.apply(x, norm.weight, norm.bias, mean_c, variance_c, norm.eps)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (with n) of each channel over all ranks, float32 [c] (float64 for float64)."""
    variance_c, mean_c = torch.var_mean(_widen(x), _all_but_channels(x), correction=0)
    means_wc, variances_wc = gather_samples(torch.stack([mean_c, variance_c])[:, None])
    mean_c = means_wc.mean(0)
    return mean_c, (variances_wc + (means_wc - mean_c) ** 2).mean(0)


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight_c: Tensor | None,
        bias_c: Tensor | None,
        mean_c: Tensor,
        variance_c: Tensor,
        eps: float,
    ) -> Tensor:
        ctx.save_for_backward(x, weight_c, mean_c, variance_c)
        ctx.eps, ctx.has_bias = eps, bias_c is not None
        return torch.nn.functional.batch_norm(_widen(x), mean_c, variance_c, weight_c, bias_c, eps=eps).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """dx = w / std (dy - mean(dy) - x^ mean(dy x^)), x^ the normalised x, the means over all ranks."""
        x, weight_c, mean_c, variance_c = ctx.saved_tensors
        dims, wide = _all_but_channels(x), _widen(x)
        gradient_wide = _widen(gradient)
        scale_c = (variance_c + ctx.eps).rsqrt()
        to_bias_c = gradient_wide.sum(dims)
        to_weight_c = ((gradient_wide * wide).sum(dims) - mean_c * to_bias_c) * scale_c
        count = world_size() * x.numel() // x.shape[1]
        mean_2c = sum_over_ranks(torch.stack([to_bias_c, to_weight_c])) / count
        slope_c = -scale_c * mean_2c[1]
        shift_c = -mean_2c[0] - slope_c * mean_c
        to_x = gradient_wide + _column(slope_c, x) * wide + _column(shift_c, x)
        to_x *= _column(scale_c if weight_c is None else scale_c * weight_c, x)
        to_weight = None if weight_c is None else to_weight_c.to(weight_c.dtype)
        return to_x.to(x.dtype), to_weight, to_bias_c if ctx.has_bias else None, None, None, None


def _widen(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _all_but_channels(x: Tensor) -> list[int]:
    return [0, *range(2, x.ndim)]


def _column(values_c: Tensor, like: Tensor) -> Tensor:
    return values_c.view(-1, *[1] * (like.ndim - 2))
