"""The updates of all tensors in one array, which one kernel can scale by a factor for each tensor.

torch's foreach functions multiply by numbers of the host, or by one scalar on the device for all tensors. Given one for
each tensor on the device, they launch a kernel for each.
"""

from functools import lru_cache

import torch
from torch import Tensor

from vicregl_fast.optim.lars_backends.tensors import StepTensors, to_device

WIDTH = 1024  # elements of a row, which belongs to one tensor; its last row is padded


class FlatUpdates:
    """Updates d, of the dtype of their parameters, with uninitialised values.

    Attributes:
        array: [rows, WIDTH], which holds all updates.
        views: each update, with the shape and the strides of its parameter.
    """

    def __init__(self, tensors: StepTensors) -> None:
        parameters = tensors.parameters
        rows = [-(-parameter.numel() // WIDTH) for parameter in parameters]
        self.array = parameters[0].new_empty((sum(rows), WIDTH))
        self.views, first = [], 0
        for parameter, count in zip(parameters, rows, strict=True):
            self.views.append(self.array.as_strided(parameter.shape, parameter.stride(), first * WIDTH))
            first += count
        self._decayed_rows = tuple(rows[: tensors.decayed])

    def scale(self, factors: Tensor) -> None:
        """Multiplies each update that has a trust ratio by it.

        Args:
            factors: [tensors with decay], on the device.
        """
        owner = _row_owners(self._decayed_rows, self.array.device)
        self.array[: len(owner)].mul_(factors[owner].unsqueeze(1))


@lru_cache(maxsize=32)
def _row_owners(rows: tuple[int, ...], device: torch.device) -> Tensor:
    """The number of the tensor that each row belongs to, from the number of rows of every tensor."""
    return to_device(torch.repeat_interleave(torch.tensor(rows)), device)
