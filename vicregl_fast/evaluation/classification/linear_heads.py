"""Linear classifiers of frozen features, several at once, which differ in their learning rate.

Shape letters: l learning rates, b samples, k classes, c channels.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

MOMENTUM, WEIGHT_DECAY = 0.9, 1e-6
"""Of the published protocol (docs/method.md, Evaluation)."""


def cosine_factor(epoch: int, epochs: int) -> float:
    """Of the learning rate, in an epoch counted from 0."""
    return 0.5 * (1 + math.cos(math.pi * epoch / epochs))


def drawn_weight(channels: int, classes: int, seed: int) -> Tensor:
    """The weights that a head starts with, float32 [k, c], from N(0, 0.01²)."""
    return torch.randn(classes, channels, generator=torch.Generator().manual_seed(seed)) * 0.01


class LinearHeads:
    """Heads of k classes for features of c channels, each trained by SGD at its own learning rate on the same batches.

    All start with the same weights (``drawn_weight``), and biases of zero.

    Args:
        channels: c.
        classes: k.
        rates: learning rates, l of them.
        epochs: after which the rates, lowered after every epoch along a cosine, would be zero.
        device: where the features are.
        seed: of the weights.
    """

    def __init__(
        self, channels: int, classes: int, rates: Sequence[float], epochs: int, device: torch.device, seed: int
    ):
        start_kc = drawn_weight(channels, classes, seed)
        self._weight_lkc = nn.Parameter(start_kc.repeat(len(rates), 1, 1).to(device))
        self._bias_lk = nn.Parameter(torch.zeros(len(rates), classes, device=device))
        self._epochs = epochs
        self._rates_l = torch.tensor(rates, device=device)
        self._momenta = [torch.zeros_like(each) for each in self._parameters]

    @property
    def _parameters(self) -> tuple[nn.Parameter, nn.Parameter]:
        return self._weight_lkc, self._bias_lk

    def logits(self, features_bc: Tensor) -> Tensor:
        """The logits of every head, [l, b, k]."""
        weight_lck = self._weight_lkc.transpose(1, 2)
        return torch.baddbmm(self._bias_lk[:, None], features_bc.expand(len(self._rates_l), -1, -1), weight_lck)

    def step(self, features_bc: Tensor, labels_b: Tensor, epoch: int) -> None:
        """Takes a step with every head on features of ``epoch``, counted from 0."""
        logits_lbk = self.logits(features_bc)
        labels = labels_b.expand(len(self._rates_l), -1).flatten()
        loss = nn.functional.cross_entropy(logits_lbk.flatten(0, 1), labels, reduction="sum") / len(labels_b)
        gradients = torch.autograd.grad(loss, self._parameters)
        rates_l = self._rates_l * cosine_factor(epoch, self._epochs)
        with torch.no_grad():
            for parameter, gradient, momentum in zip(self._parameters, gradients, self._momenta, strict=True):
                momentum.mul_(MOMENTUM).add_(gradient + WEIGHT_DECAY * parameter)
                parameter.sub_(rates_l.view(-1, *[1] * (parameter.ndim - 1)) * momentum)

    @torch.no_grad()
    def correct(self, features_bc: Tensor, labels_b: Tensor) -> Tensor:
        """How many of these samples each head gets right, int64 [l]."""
        return (self.logits(features_bc).argmax(2) == labels_b).sum(1)
