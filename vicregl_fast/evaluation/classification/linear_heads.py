"""Linear classifiers of frozen features, several at once, which differ in their learning rate.

Shape letters: l learning rates, b samples, k classes, c channels.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from vicregl_fast.evaluation.held_out import all_finite

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

    All start with the same weights (``drawn_weight``), and biases of zero. The gradient of the cross-entropy is formed
    here, (softmax - one-hot) / b, so that all heads take one matrix product each way, and a step allocates little.

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
        self._weight_lkc = start_kc.repeat(len(rates), 1, 1).to(device)
        self._bias_lk = torch.zeros(len(rates), classes, device=device)
        self._epochs = epochs
        self._rates_l11 = torch.tensor(rates, device=device).view(-1, 1, 1)
        self._momentum_lkc, self._momentum_lk = torch.zeros_like(self._weight_lkc), torch.zeros_like(self._bias_lk)
        self._gradient_lkc = torch.empty_like(self._weight_lkc)

    def logits(self, features_bc: Tensor) -> Tensor:
        """The logits of every head, [l, b, k]."""
        return self._logits(features_bc).transpose(0, 1)

    def _logits(self, features_bc: Tensor) -> Tensor:
        """The same as [b, l, k]."""
        flat = torch.addmm(self._bias_lk.flatten(), features_bc, self._weight_lkc.flatten(0, 1).T)
        return flat.view(len(features_bc), *self._bias_lk.shape)

    @torch.no_grad()
    def step(self, features_bc: Tensor, labels_b: Tensor, epoch: int) -> None:
        """Takes a step with every head on features of ``epoch``, counted from 0."""
        gradient_blk = self._logits(features_bc).softmax(2)
        labels_bl1 = labels_b[:, None, None].expand(-1, gradient_blk.shape[1], 1)
        gradient_blk.scatter_add_(2, labels_bl1, gradient_blk.new_full((1, 1, 1), -1).expand(labels_bl1.shape))
        gradient_blk /= len(labels_b)
        torch.mm(gradient_blk.flatten(1).T, features_bc, out=self._gradient_lkc.view(-1, features_bc.shape[1]))
        rates_l11 = self._rates_l11 * cosine_factor(epoch, self._epochs)
        for parameter, gradient, momentum, rates in (
            (self._weight_lkc, self._gradient_lkc, self._momentum_lkc, rates_l11),
            (self._bias_lk, gradient_blk.sum(0), self._momentum_lk, rates_l11[:, 0]),
        ):
            momentum.mul_(MOMENTUM).add_(gradient).add_(parameter, alpha=WEIGHT_DECAY)
            parameter.addcmul_(rates, momentum, value=-1)

    @torch.no_grad()
    def correct(self, features_bc: Tensor, labels_b: Tensor) -> Tensor:
        """How many of these samples each head gets right, int64 [l]."""
        return (self.logits(features_bc).argmax(2) == labels_b).sum(1)

    def finite(self) -> list[bool]:
        """Whether the weights of each head are finite."""
        return [all_finite(each) for each in zip(self._weight_lkc, self._bias_lk, strict=True)]
