"""The buffers of a network, kept as they were before a step until the device knows whether the step counts."""

import torch
from torch import Tensor, nn


class StepBuffers:
    """Gives a network's buffers their earlier values back where a flag on the device says so, without waiting for it.

    BatchNorm's running statistics would never lose a non-finite value.

    Args:
        network: the network, whose buffers stay where they are.
    """

    def __init__(self, network: nn.Module):
        buffers = list(network.buffers())
        self._alike = [
            _Alike([b for b in buffers if b.dtype == dtype]) for dtype in sorted({b.dtype for b in buffers}, key=str)
        ]

    def remember(self) -> None:
        """Notes the values that the buffers have now."""
        for alike in self._alike:
            torch._foreach_copy_(alike.before, alike.buffers)

    def restore_where(self, flag: Tensor) -> None:
        """Sets the buffers to the noted values if ``flag``, a bool scalar on their device, is true."""
        for alike in self._alike:
            torch._foreach_copy_(alike.after, alike.buffers)
            torch.where(flag, alike.array[0], alike.array[1], out=alike.array[1])
            torch._foreach_copy_(alike.buffers, alike.after)


class _Alike:
    """Buffers of one dtype: few kernels copy them all, and one selects among the copies, which lie in one array."""

    def __init__(self, buffers: list[Tensor]):
        self.buffers = buffers
        sizes = [buffer.numel() for buffer in buffers]
        self.array = buffers[0].new_empty((2, sum(sizes)))
        self.before, self.after = (
            [part.view(buffer.shape) for part, buffer in zip(row.split(sizes), buffers, strict=True)]
            for row in self.array
        )
