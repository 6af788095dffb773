"""LARS (You, Gitman, Ginsburg 2017): each layer's update is scaled by the norms of its weights and gradient."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

TRUST = 0.001  # eta: at learning rate 1 and without momentum, an update has this share of the norm of its tensor


def lars_step_reference(
    parameter: Tensor, gradient: Tensor, buffer: Tensor, lr: float, weight_decay: float, momentum: float
) -> tuple[Tensor, Tensor]:
    """One step for one tensor, written as the formula: the readable reference of ``LARS``.

    d = g + wd p;  q = eta |p| / |d|, or 1 if either norm is 0;  m <- momentum m + q d;  p <- p - lr m.
    Tensors of one dimension (biases, norms) have no decay, and q = 1.

    Args:
        parameter, gradient, buffer: p, g and m, of one shape and dtype; they stay as they are.
        lr: learning rate.
        weight_decay: wd.
        momentum: factor of the buffer.

    Returns:
        The new parameter and the new momentum buffer.
    """
    update = gradient
    if parameter.ndim > 1:
        update = gradient + weight_decay * parameter
        parameter_norm, update_norm = parameter.norm(), update.norm()
        if parameter_norm > 0 and update_norm > 0:
            update = TRUST * parameter_norm / update_norm * update
    buffer = momentum * buffer + update
    return parameter - lr * buffer, buffer


class LARS(torch.optim.Optimizer):
    """LARS, applied to many tensors at once by torch's foreach functions, without waiting for the device.

    Args:
        params: parameters, or groups of them.
        lr: learning rate of the groups that give none of their own; the schedule changes it.
        weight_decay: for tensors of two or more dimensions only.
        momentum: factor of the momentum buffer.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        weight_decay: float = 1e-6,
        momentum: float = 0.9,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Updates every parameter that has a gradient, and returns the closure's loss if there is one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameters in _alike(group["params"]):
                self._step_alike(parameters, group["lr"], group["weight_decay"], group["momentum"])
        return loss

    def _step_alike(self, parameters: list[Tensor], lr: float, weight_decay: float, momentum: float) -> None:
        """One step for tensors that have gradients and are of one group of ``_alike``."""
        updates = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if parameters[0].ndim > 1:
            updates = _scaled_updates(parameters, updates, weight_decay)
        buffers = [self._buffer(parameter) for parameter in parameters]
        torch._foreach_mul_(buffers, momentum)
        torch._foreach_add_(buffers, updates, alpha=1)
        torch._foreach_add_(parameters, buffers, alpha=-lr)

    def _buffer(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        return state["momentum_buffer"]


def _alike(parameters: Iterable[Tensor]) -> Iterable[list[Tensor]]:
    """Groups the parameters that have gradients by device, dtype, and whether they have more than one dimension."""
    alike: dict[tuple[torch.device, torch.dtype, bool], list[Tensor]] = defaultdict(list)
    for parameter in parameters:
        if parameter.grad is not None:
            alike[parameter.device, parameter.dtype, parameter.ndim > 1].append(parameter)
    return alike.values()


def _scaled_updates(parameters: list[Tensor], gradients: list[Tensor], weight_decay: float) -> list[Tensor]:
    """q d of the formula for every tensor, as new tensors: the gradients stay as they are."""
    updates = list(torch._foreach_add(gradients, parameters, alpha=weight_decay))
    parameter_norms = torch.stack(torch._foreach_norm(parameters))
    update_norms = torch.stack(torch._foreach_norm(updates))
    both = (parameter_norms > 0) & (update_norms > 0)
    scales = torch.where(both, TRUST * parameter_norms / update_norms, 1.0)
    torch._foreach_mul_(updates, list(scales.unbind()))
    return updates
