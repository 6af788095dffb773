"""LARS tensor by tensor, as the formula is written: the readable reference of the other backends."""

import torch
from torch import Tensor

from vicregl_fast.optim.lars_backends.tensors import Coefficients, StepTensors

TRUST = 0.001  # eta: at learning rate 1 and without momentum, an update has this share of the norm of its tensor


def trust_ratio(parameter_norm: Tensor, update_norm: Tensor) -> Tensor:
    """q of the formula, from the norms of p and d."""
    both = (parameter_norm > 0) & (update_norm > 0)
    return torch.where(both, TRUST * parameter_norm / update_norm, 1.0)


def lars_step_reference(
    parameter: Tensor, gradient: Tensor, buffer: Tensor, lr: float | Tensor, weight_decay: float, momentum: float
) -> tuple[Tensor, Tensor]:
    """One step for one tensor, written as the formula: the readable reference of ``LARS``.

    d = g + wd p;  q = eta |p| / |d|, or 1 if either norm is 0;  m <- momentum m + q d;  p <- p - lr m.
    Tensors of one dimension (biases, norms) have no decay, and q = 1.

    Args:
        parameter, gradient, buffer: p, g and m, of one shape; they stay as they are.
        lr: learning rate, a number or a scalar tensor.
        weight_decay: wd.
        momentum: factor of the buffer.

    Returns:
        The new parameter and the new momentum buffer.
    """
    update = gradient
    if parameter.ndim > 1:
        update = gradient + weight_decay * parameter
        update = trust_ratio(parameter.norm(), update.norm()) * update
    buffer = momentum * buffer + update
    return parameter - lr * buffer, buffer


def step_by_loop(tensors: StepTensors, coefficients: Coefficients) -> None:
    """Takes a step by ``lars_step_reference``."""
    lr, decay, momentum = coefficients.lr, coefficients.weight_decay, coefficients.momentum
    for p, g, m in zip(tensors.parameters, tensors.gradients, tensors.buffers, strict=True):
        gradient = g.to(p.dtype)
        if coefficients.grad_scale is not None:
            gradient = gradient / coefficients.grad_scale
        parameter, buffer = lars_step_reference(p, gradient, m, lr, decay, momentum)
        if coefficients.found_inf is not None:
            skip = coefficients.found_inf != 0
            parameter, buffer = torch.where(skip, p, parameter), torch.where(skip, m, buffer)
        p.copy_(parameter)
        m.copy_(buffer)
