"""The buffers of a network, and copies that give them earlier values back."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class NetworkBuffers:
    """Gives a network's buffers, which are BatchNorm's running statistics, earlier values back.

    Args:
        network: the network, whose buffers stay where they are.
    """

    def __init__(self, network: nn.Module):
        buffers = list(network.buffers())
        dtypes = sorted({buffer.dtype for buffer in buffers}, key=str)
        self._alike = [_Alike([buffer for buffer in buffers if buffer.dtype == dtype]) for dtype in dtypes]

    def remember(self) -> None:
        """Notes the values that the buffers have now."""
        for alike in self._alike:
            torch._foreach_copy_(alike.before, alike.buffers)

    def restore_where(self, flag: Tensor) -> None:
        """Sets the buffers to the noted values if ``flag``, a bool scalar on their device, is true.

        The host does not wait for the flag.
        """
        for alike in self._alike:
            torch._foreach_copy_(alike.after, alike.buffers)
            torch.where(flag, alike.array[0], alike.array[1], out=alike.array[1])
            torch._foreach_copy_(alike.buffers, alike.after)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Undoes what happens to the buffers within, as when a pass does the work of another one again."""
        for alike in self._alike:
            torch._foreach_copy_(alike.after, alike.buffers)
        yield
        for alike in self._alike:
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
