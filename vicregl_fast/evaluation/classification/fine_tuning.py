"""A linear classifier whose backbone is trained along with it.

Shape letters: b samples, c channels, k classes.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from dataprep.errors import UserError
from vicregl_fast.evaluation.classification.features import pooled_of
from vicregl_fast.evaluation.classification.linear_heads import MOMENTUM, WEIGHT_DECAY, cosine_factor, drawn_weight
from vicregl_fast.evaluation.held_out import all_finite
from vicregl_fast.models.backbone import Backbone

ImageBatch = tuple[Tensor, Tensor]
"""Normalised images [b, 3, S, S] and labels int64 [b], on the backbone's device."""


class FineTuning:
    """Trains a backbone and a head of k classes by SGD, each at its own learning rate.

    Both rates are lowered after every epoch along a cosine that ends at zero. The backbone is in training mode
    meanwhile, so that BatchNorm follows the images and drop path works.

    Args:
        backbone: changed in place; on the device where it is trained.
        classes: k.
        head_lr, backbone_lr: learning rates.
        epochs: after which they would be zero.
        seed: of the head's weights, and of what drop path draws.
    """

    def __init__(self, backbone: Backbone, classes: int, head_lr: float, backbone_lr: float, epochs: int, seed: int):
        self._backbone, self._seed = backbone.requires_grad_(True), seed
        weight_kc = drawn_weight(backbone.channels, classes, seed).to(next(backbone.parameters()).device)
        self._weight_kc, self._bias_k = nn.Parameter(weight_kc), nn.Parameter(weight_kc.new_zeros(classes))
        groups = [
            {"params": [self._weight_kc, self._bias_k], "lr": head_lr},
            {"params": list(backbone.parameters()), "lr": backbone_lr},
        ]
        self._optimiser = torch.optim.SGD(groups, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimiser, lambda epoch: cosine_factor(epoch, epochs))

    def epoch(self, batches: Iterable[ImageBatch], number: int) -> None:
        """Takes a step with each batch of an epoch, counted from 0, and leaves the backbone in eval mode.

        Raises:
            UserError: the backbone takes no images of this size, or training diverged.
        """
        self._backbone.train()
        with torch.random.fork_rng():
            torch.manual_seed(self._seed + number)
            for images, labels_b in batches:
                loss = nn.functional.cross_entropy(self.logits(images), labels_b)
                self._optimiser.zero_grad()
                loss.backward()
                self._optimiser.step()
        self._schedule.step()
        self._backbone.eval()
        if not all_finite([self._weight_kc, self._bias_k, *self._backbone.state_dict().values()]):
            raise UserError(
                f"fine-tuning diverged in epoch {number + 1}, to non-finite values: lower --lr or --backbone_lr"
            )

    def logits(self, images: Tensor) -> Tensor:
        """The logits, float32 [b, k], of normalised images."""
        return nn.functional.linear(pooled_of(self._backbone, images), self._weight_kc, self._bias_k)

    def correct(self, features_bc: Tensor, labels_b: Tensor) -> Tensor:
        """How many of these samples, given their pooled features, the head gets right: int64 [1]."""
        logits_bk = nn.functional.linear(features_bc, self._weight_kc, self._bias_k)
        return (logits_bk.argmax(1) == labels_b).sum()[None]

    def finite(self) -> list[bool]:
        """That of the only head, which ``epoch`` checks."""
        return [True]
