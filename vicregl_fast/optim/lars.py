"""LARS (You, Gitman, Ginsburg 2017): each layer's update is scaled by the norms of its weights and gradient."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from vicregl_fast.optim.config import LarsBackend
from vicregl_fast.optim.lars_backends.choice import open_backend
from vicregl_fast.optim.lars_backends.loop import lars_step_reference, step_by_loop
from vicregl_fast.optim.lars_backends.tensors import Coefficients, StepTensors

__all__ = ["LARS", "lars_step_reference"]


class LARS(torch.optim.Optimizer):
    """LARS, without waiting for the device. The state is the same whatever the backend, and is ``momentum_buffer``.

    A ``torch.amp.GradScaler`` gives its ``grad_scale`` and ``found_inf`` to the step instead of dividing the gradients
    and asking the device whether to skip: the step divides by the first, and where the second is not 0, parameters
    and buffers stay bit for bit as they are. Gradients stay as they are. Whoever sets these attributes gets the same.

    Args:
        params: parameters, or groups of them.
        lr: learning rate of the groups that give none of their own; the schedule changes it. As a tensor on the device
            it can be changed between replays of a CUDA graph, which may be captured after a first step.
        weight_decay: for tensors of two or more dimensions only.
        momentum: factor of the momentum buffer.
        backend: what does the work.

    Raises:
        ImportError: the backend's library is not installed.
    """

    _step_supports_amp_scaling = True

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float | Tensor,
        weight_decay: float = 1e-6,
        momentum: float = 0.9,
        backend: LarsBackend = "foreach",
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        self.backend: LarsBackend = backend
        self._take_step = open_backend(backend)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"backend": self.backend}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._take_step = open_backend(self.backend)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Updates every parameter that has a gradient, and returns the closure's loss if there is one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        scaling = getattr(self, "grad_scale", None), getattr(self, "found_inf", None)
        for group in self.param_groups:
            for (device, _, dense), tensors in self._alike(group["params"]).items():
                lr, grad_scale, found_inf = (_on(device, value) for value in (group["lr"], *scaling))
                numbers = Coefficients(lr, group["weight_decay"], group["momentum"], grad_scale, found_inf)
                (self._take_step if dense else step_by_loop)(tensors, numbers)
        return loss

    def _alike(self, parameters: Iterable[Tensor]) -> dict[tuple[torch.device, torch.dtype, bool], StepTensors]:
        """The tensors of a step by device, dtype, and whether parameters are dense."""
        alike: dict[tuple[torch.device, torch.dtype, bool], StepTensors] = defaultdict(lambda: StepTensors([], [], []))
        for parameter in sorted(parameters, key=lambda each: each.ndim <= 1):
            if parameter.grad is None:
                continue
            buffer = self._buffer(parameter)
            if parameter.numel() == 0:
                continue
            dense = buffer.stride() == parameter.stride()
            tensors = alike[parameter.device, parameter.dtype, dense]
            tensors.parameters.append(parameter)
            tensors.gradients.append(_in_layout_of(parameter, parameter.grad) if dense else parameter.grad)
            tensors.buffers.append(buffer)
        return alike

    def _buffer(self, parameter: Tensor) -> Tensor:
        """The momentum buffer, with the strides of the parameter if that is dense: ``empty_like`` then takes them."""
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        elif state["momentum_buffer"].stride() != parameter.stride():  # saved with another memory format
            state["momentum_buffer"] = torch.empty_like(parameter).copy_(state["momentum_buffer"])
        return state["momentum_buffer"]


def _in_layout_of(parameter: Tensor, gradient: Tensor) -> Tensor:
    """The gradient with the strides of its dense parameter; copied if its elements have another order in memory."""
    if gradient.stride() == parameter.stride():
        return gradient
    places = zip(parameter.shape, parameter.stride(), gradient.stride(), strict=True)
    if all(size == 1 or ours == its for size, ours, its in places):
        return gradient.as_strided(parameter.shape, parameter.stride())
    return torch.empty_like(parameter, dtype=gradient.dtype).copy_(gradient)


def _on(device: torch.device, value: Any) -> Any:
    """A tensor of one element as a float32 scalar on the device, without waiting for it; others stay as they are."""
    if not isinstance(value, Tensor):
        return value
    return value.reshape(()).to(device, torch.float32, non_blocking=True)
