"""What a backend of LARS gets: the tensors of one step, and the numbers of the formula."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class StepTensors:
    """Tensors that one call of a backend updates: of one device, their parameters of one dtype, and none empty.

    For every backend but the loop, a parameter is dense (any memory format), and its gradient and its buffer have
    its strides. Parameters of two or more dimensions stand before the others.

    Attributes:
        parameters: p, changed in place.
        gradients: g, of any floating dtype; they stay as they are.
        buffers: m, of their parameter's dtype, changed in place.
    """

    parameters: list[Tensor]
    gradients: list[Tensor]
    buffers: list[Tensor]

    @property
    def decayed(self) -> int:
        """How many of the parameters, the first ones, have weight decay and a trust ratio."""
        return sum(parameter.ndim > 1 for parameter in self.parameters)


@dataclass(frozen=True)
class Coefficients:
    """The numbers of a step. Tensors are scalars on the device of ``StepTensors``, so that none waits for it.

    Attributes:
        lr: learning rate.
        weight_decay: wd.
        momentum: factor of the buffers.
        grad_scale: what the gradients must be divided by before anything else; None for 1.
        found_inf: unless it is 0, parameters and buffers stay bit for bit as they are; None for 0.
    """

    lr: float | Tensor
    weight_decay: float
    momentum: float
    grad_scale: Tensor | None = None
    found_inf: Tensor | None = None


Backend = Callable[[StepTensors, Coefficients], None]


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Copies from the host without waiting for the device."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
