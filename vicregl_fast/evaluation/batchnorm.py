"""BatchNorm statistics of a network that was never trained.

At initialisation the running means are 0 and the running variances 1. With these an untrained network's features
shrink or grow from layer to layer, and it would lose a comparison for a reason that has nothing to do with learning.

Shape letters: n images, c channels.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class _Moments:
    """Moments of the inputs of one BatchNorm layer, gathered over many batches.

    Attributes:
        count: values seen of each channel.
        sum_c: sum of these values, float64 [c].
        squares_c: sum of their squares, float64 [c].
    """

    def __init__(self) -> None:
        self.count = 0
        self.sum_c: Tensor | float = 0.0
        self.squares_c: Tensor | float = 0.0

    def add(self, module: nn.Module, inputs: tuple[Tensor]) -> None:
        """Adds an input [n, c, ...] of the layer; has the signature of a forward pre-hook."""
        values = inputs[0].detach()
        count = values.numel() // values.shape[1]
        other_dims = [dim for dim in range(values.ndim) if dim != 1]
        variance_c, mean_c = (each.double() for each in torch.var_mean(values, other_dims, correction=0))
        self.count += count
        self.sum_c = self.sum_c + count * mean_c
        self.squares_c = self.squares_c + count * (variance_c + mean_c.square())

    def store_in(self, layer: _BatchNorm) -> None:
        """Sets the layer's running mean and variance; as in BatchNorm, the variance is divided by count - 1."""
        mean_c = torch.as_tensor(self.sum_c) / self.count
        variance_c = torch.as_tensor(self.squares_c) / self.count - mean_c.square()
        assert layer.running_mean is not None and layer.running_var is not None
        layer.running_mean.copy_(mean_c)
        layer.running_var.copy_(variance_c * (self.count / max(self.count - 1, 1)))


@torch.no_grad()
def reestimate_batchnorm(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Sets the running statistics of every BatchNorm layer to the moments of its inputs over all ``batches``.

    The moments are pooled over all batches, whatever their sizes: an average of the batches' variances would miss
    the spread between batches. Meanwhile each BatchNorm layer normalises by the statistics of the current batch. The
    rest of the network keeps its mode, so that drop path and dropout stay off in eval mode. ``batches`` are normalised
    images, float32 [n, 3, H, W].
    """
    layers = {
        layer: _Moments() for layer in network.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats
    }
    if not layers:
        return
    modes = {layer: layer.training for layer in layers}
    hooks = [layer.register_forward_pre_hook(moments.add) for layer, moments in layers.items()]
    try:
        for layer in layers:
            layer.train()
        device = next(network.parameters()).device
        for images in batches:
            network(images.to(device))
    finally:
        for hook in hooks:
            hook.remove()
        for layer, mode in modes.items():
            layer.train(mode)
    for layer, moments in layers.items():
        moments.store_in(layer)
