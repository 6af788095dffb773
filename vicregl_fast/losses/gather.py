"""The global batch across ranks: gathering rows, and averaging reported values.

Every rank holds the same number of samples. Without ``torch.distributed`` everything here is the identity.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable


def world_size() -> int:
    """Number of ranks that share the global batch."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def own_rows(global_count: int) -> slice:
    """Where this rank's rows lie among ``global_count`` gathered ones."""
    if world_size() == 1:
        return slice(0, global_count)
    count = global_count // world_size()
    return slice(dist.get_rank() * count, (dist.get_rank() + 1) * count)


def gather_batch(x: Tensor) -> Tensor:
    """Concatenates all ranks' ``x`` [n, ...] along the samples, in rank order: [W*n, ...].

    Made for statistics of the global batch under DistributedDataParallel, which averages gradients over W
    ranks: the backward pass takes this rank's own rows of the gradient times W. Every rank must form the
    gradient with respect to its own rows; then no gradient has to travel.
    """
    return x if world_size() == 1 else _Gather.apply(x)


def mean_over_ranks(values: Tensor) -> Tensor:
    """The mean of detached ``values`` over all ranks, the same on each."""
    values = values.detach()
    if world_size() == 1:
        return values
    total = values.clone()
    dist.all_reduce(total)
    return total / world_size()


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        gathered = x.new_empty((world_size() * x.shape[0], *x.shape[1:]))
        dist.all_gather_into_tensor(gathered, x.contiguous())
        return gathered

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient[own_rows(gradient.shape[0])] * world_size()
