"""What a criterion gives back: its terms, and the gradient of their sum, which it forms in the forward pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vicregl_fast.losses.config import Criterion, VICReg


@dataclass(frozen=True)
class Terms:
    """A criterion's terms on this rank.

    Attributes:
        values: [..., t] in the order of ``names_of``, with coefficients; the means of these shares over ranks are the
            terms of the global batch.
        gradients: of their weighted sum with respect to this rank's embeddings, one a view; empty if not wanted.
    """

    values: Tensor
    gradients: Sequence[Tensor]


def names_of(criterion: Criterion) -> tuple[str, ...]:
    """The names of a criterion's terms."""
    return ("invariance", "variance", "covariance") if isinstance(criterion, VICReg) else ("contrast",)


def with_gradient(value: Tensor, tensors: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """The scalar ``value``, whose gradient with respect to ``tensors`` is ``gradients``; without any, it has none."""
    return _Formed.apply(value, gradients, *tensors) if gradients else value


class _Formed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: Sequence[Tensor], *tensors: Tensor) -> Tensor:
        ctx.gradients = list(gradients)
        ctx.dtypes = [tensor.dtype for tensor in tensors]
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        if len(ctx.gradients) != len(ctx.dtypes):
            raise RuntimeError("the loss's gradient is gone after the first backward pass: form the loss again")
        scaled = []
        for dtype in ctx.dtypes:
            scaled.append(ctx.gradients.pop(0).mul_(slope).to(dtype))  # in place, so that it is not held twice
        return None, None, *scaled
