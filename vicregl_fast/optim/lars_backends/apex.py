"""LARS put together of NVIDIA Apex's multi-tensor kernels; Apex itself has no LARS.

AMD's fork of Apex has one (``FusedLARS``), but with another trust ratio: eta |p| / (|g| + wd |p|) where ours has
eta |p| / |g + wd p|. So it is not used; the kernels used here are in the fork, too.
"""

import importlib

import torch

from vicregl_fast.optim.lars_backends.flat import FlatUpdates
from vicregl_fast.optim.lars_backends.foreach import step_by_foreach
from vicregl_fast.optim.lars_backends.loop import trust_ratio
from vicregl_fast.optim.lars_backends.tensors import Coefficients, StepTensors

CHUNK = 2048 * 32  # elements that one block works on: the size that Apex itself takes


class ApexStep:
    """Takes a step in 48 bytes a parameter: decay (12), norms (8), scale (8), SGD with momentum (20).

    What Apex's kernels do not take goes to ``step_by_foreach``: parameters other than float32, memory formats other
    than contiguous and channels_last, a learning rate on the device, and momentum 0.

    Raises:
        ImportError: Apex is not installed, or was built without its CUDA extension.
    """

    def __init__(self) -> None:
        self._kernels = importlib.import_module("amp_C")

    def __call__(self, tensors: StepTensors, coefficients: Coefficients) -> None:
        if not _takes(tensors, coefficients):
            return step_by_foreach(tensors, coefficients)
        updates, parameters, decayed = FlatUpdates(tensors), tensors.parameters, tensors.decayed
        gradients = _scaled_gradients(updates, tensors, coefficients)
        # The kernels note non-finite values in a flag. Only that of SGD heeds it, and gets another one.
        flag = torch.zeros(1, dtype=torch.int32, device=parameters[0].device)
        if decayed:
            lists = [gradients[:decayed], parameters[:decayed], updates.views[:decayed]]
            self._kernels.multi_tensor_axpby(CHUNK, flag, lists, 1.0, coefficients.weight_decay, -1)
            norms = (
                self._kernels.multi_tensor_l2norm(CHUNK, flag, [each[:decayed]], True)[1]
                for each in (parameters, updates.views)
            )
            updates.scale(trust_ratio(*norms))
        if decayed < len(parameters) and gradients is not updates.views:
            torch._foreach_copy_(updates.views[decayed:], gradients[decayed:])
        skip = torch.zeros_like(flag)
        if coefficients.found_inf is not None:
            skip.copy_(coefficients.found_inf != 0)
        lists = [updates.views, parameters, tensors.buffers]
        # decay, momentum, dampening, learning rate, Nesterov, first run, decay after momentum, scale
        numbers = (0.0, coefficients.momentum, 0.0, coefficients.lr, False, False, False, 1.0)
        self._kernels.multi_tensor_sgd(CHUNK, skip, lists, *numbers)


def _takes(tensors: StepTensors, coefficients: Coefficients) -> bool:
    if isinstance(coefficients.lr, torch.Tensor) or coefficients.momentum == 0:
        return False
    return tensors.parameters[0].dtype == torch.float32 and all(
        each.is_contiguous() or each.is_contiguous(memory_format=torch.channels_last) for each in tensors.parameters
    )


def _scaled_gradients(updates: FlatUpdates, tensors: StepTensors, coefficients: Coefficients) -> list[torch.Tensor]:
    """The gradients in float32 and divided by their scale, in the room of the updates where they are not so already."""
    gradients = tensors.gradients
    if coefficients.grad_scale is None and all(gradient.dtype == torch.float32 for gradient in gradients):
        return gradients
    torch._foreach_copy_(updates.views, gradients)
    if coefficients.grad_scale is not None:
        updates.array.div_(coefficients.grad_scale)
    return updates.views
