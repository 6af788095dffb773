"""The linear segmentation head on a frozen map, and its training.

Shape letters: b samples, C channels, h×w cells, H×W pixels of the mask.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from dataprep.progress import progress_bar

END_LR = 1e-4


class LinearHead(nn.Sequential):
    """BatchNorm, dropout of whole channels, 1×1 convolution (docs/method.md, Evaluation).

    The dropout rate and the initial weights of the convolution are mmsegmentation's. Takes maps float32 [b, C, h, w],
    gives logits float32 [b, classes, h, w].
    """

    def __init__(self, channels: int, classes: int, dropout: float = 0.1):
        convolution = nn.Conv2d(channels, classes, 1)
        nn.init.normal_(convolution.weight, std=0.01)
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
        super().__init__(nn.BatchNorm2d(channels), nn.Dropout2d(dropout), convolution)


def resize_logits(logits: Tensor, mask: Tensor) -> Tensor:
    """Resizes logits float32 [b, classes, h, w] bilinearly to [b, classes, H, W], the size of ``mask`` [b, H, W]."""
    return interpolate(logits, mask.shape[-2:], mode="bilinear", align_corners=False)


def train_head(
    head: LinearHead, batches: Iterable[tuple[Tensor, Tensor]], iterations: int, lr: float, ignore_index: int
) -> None:
    """Trains a head by SGD with momentum 0.9 and weight decay 5e-4, one step a batch, and leaves it in eval mode.

    Args:
        head: changed in place.
        batches: ``iterations`` pairs of maps float32 [b, C, h, w] and masks int64 [b, H, W], on the head's device.
        iterations: number of steps.
        lr: learning rate of the first step; it falls towards 1e-4 with power 0.9.
        ignore_index: label of pixels that have no part in the loss.
    """
    optimiser = torch.optim.SGD(head.parameters(), lr, momentum=0.9, weight_decay=5e-4)
    head.train()
    for iteration, (maps, masks) in enumerate(progress_bar(batches, desc="linear head", total=iterations, leave=False)):
        for group in optimiser.param_groups:
            group["lr"] = END_LR + (lr - END_LR) * (1 - iteration / iterations) ** 0.9
        logits = resize_logits(head(maps), masks)
        # A sum and a count in place of the mean, which is NaN where a batch has no labelled pixel.
        labelled = (masks != ignore_index).sum().clamp(min=1)
        loss = cross_entropy(logits, masks, ignore_index=ignore_index, reduction="sum") / labelled
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    head.eval()
