"""The linear segmentation head on maps, and its training.

Shape letters: b samples, C channels, h×w cells, H×W pixels of the mask.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from dataprep.errors import UserError
from dataprep.progress import progress_bar
from vicregl_fast.evaluation.segmentation.config import Sides
from vicregl_fast.evaluation.segmentation.labels import IGNORED
from vicregl_fast.evaluation.segmentation.protocol import Optimiser, Protocol, learning_rate


class LinearHead(nn.Module):
    """BatchNorm, dropout of whole channels, 1×1 convolution (docs/method.md, Evaluation).

    The initial weights of the convolution are mmsegmentation's.
    """

    def __init__(self, channels: int, classes: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.convolution = nn.Conv2d(channels, classes, 1)
        nn.init.normal_(self.convolution.weight, std=0.01)
        nn.init.zeros_(self.convolution.bias)  # type: ignore[arg-type]

    def forward(self, maps: Tensor) -> Tensor:
        """Gives logits float32 [b, classes, h, w] of maps float32 [b, C, h, w], without dropout."""
        return self.of_groups([maps], [None])[0]

    def of_groups(self, groups: Sequence[Tensor], kept: Sequence[Tensor | None]) -> list[Tensor]:
        """Gives the logits of maps that differ in size; BatchNorm takes the statistics of all their cells.

        Args:
            groups: maps float32 [b, C, h, w] of one size each.
            kept: for each group, factors of the channels, [b, C, 1, 1], as ``kept_channels`` draws them; None for no
                dropout.
        """
        normed = norm_together(self.norm, groups)
        return [
            self.convolution(maps if factors is None else maps * factors)
            for maps, factors in zip(normed, kept, strict=True)
        ]


def norm_together(norm: nn.BatchNorm2d, groups: Sequence[Tensor]) -> list[Tensor]:
    """BatchNorm of maps [b, C, h, w] that differ in size, as if all their cells were of one map."""
    if len(groups) == 1:
        return [norm(groups[0])]
    channels_last = [maps.permute(0, 2, 3, 1) for maps in groups]
    cells = torch.cat([maps.flatten(0, 2) for maps in channels_last])  # [n, C]
    parts = norm(cells[:, :, None, None])[:, :, 0, 0].split([maps.shape[:3].numel() for maps in channels_last])
    return [part.view(maps.shape).permute(0, 3, 1, 2) for part, maps in zip(parts, channels_last, strict=True)]


def check_cells(cells: int) -> None:
    """Raises UserError if steps have as few ``cells`` as one, of which BatchNorm can take no statistics."""
    if cells < 2:
        raise UserError(
            "a step of training would have a single cell, and BatchNorm needs more than one: raise --batch_size, give "
            "larger images or --crop, or a smaller --output_stride"
        )


def drawn_heads(channels: int, classes: int, count: int, seed: int) -> list[LinearHead]:
    """Heads that all start with the same weights, drawn from ``seed``."""
    heads = []
    with torch.random.fork_rng():
        for _ in range(count):
            torch.manual_seed(seed)
            heads.append(LinearHead(channels, classes))
    return heads


def kept_channels(maps: Tensor, dropout: float, generator: torch.Generator) -> Tensor | None:
    """Draws which channels dropout keeps, and by how much these grow: [b, C, 1, 1] of 0 and 1 / (1 - dropout)."""
    if dropout == 0:
        return None
    kept = torch.rand(*maps.shape[:2], 1, 1, generator=generator) >= dropout
    return (kept / (1 - dropout)).to(maps.device)


def resize_logits(logits: Tensor, size: Sides) -> Tensor:
    """Resizes logits float32 [b, classes, h, w] bilinearly to [b, classes, H, W]."""
    return interpolate(logits, size, mode="bilinear", align_corners=False)


def segmentation_loss(logits: Sequence[Tensor], masks: Sequence[Tensor], mean_of_all: bool) -> Tensor:
    """Cross entropy of groups of logits [b, classes, h, w], each resized to its masks int64 [b, H, W].

    Every pixel weighs the same, whatever the size of its image.

    Args:
        mean_of_all: divide by the number of all pixels, as mmsegmentation does, not of those labelled.
    """
    # Sums and a count in place of the mean, which is NaN where a batch has no labelled pixel.
    losses = [
        cross_entropy(resize_logits(each, mask.shape[1:]), mask, ignore_index=IGNORED, reduction="sum")  # type: ignore[arg-type]
        for each, mask in zip(logits, masks, strict=True)
    ]
    labelled = torch.stack([(mask != IGNORED).sum() for mask in masks]).sum().clamp(min=1)
    return torch.stack(losses).sum() / (sum(mask.numel() for mask in masks) if mean_of_all else labelled)


def train_heads(
    heads: Sequence[LinearHead],
    batches: Iterable[Sequence[tuple[Tensor, Tensor]]],
    protocol: Protocol,
    seed: int,
    backbone: nn.Module | None = None,
) -> None:
    """Trains heads on the same batches, each at its own learning rate, and leaves them in eval mode.

    Args:
        heads: changed in place, one for each of the protocol's rates.
        batches: ``protocol.iterations`` steps, each of groups of maps float32 [b, C, h, w] and masks int64 [b, H, W]
            of one size, on the heads' device.
        protocol: how they are trained.
        seed: of dropout; all heads drop the same channels.
        backbone: is trained, too, with the only head: in train mode, so that BatchNorm takes the statistics of the
            batch. None keeps it as it is.
    """
    learned = [] if backbone is None else list(backbone.parameters())
    optimisers = [_optimiser(protocol.optimiser, [*head.parameters(), *learned]) for head in heads]
    generator = torch.Generator().manual_seed(seed)
    trained = [*heads, *([] if backbone is None else [backbone])]
    for each in trained:
        each.train()
    shown = progress_bar(batches, desc="linear head", total=protocol.iterations, leave=False)
    for iteration, batch in enumerate(shown):
        maps, masks = zip(*batch, strict=True)
        kept = [kept_channels(each, protocol.dropout, generator) for each in maps]
        for head, optimiser, rate in zip(heads, optimisers, protocol.rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(protocol.optimiser, rate, iteration, protocol.iterations)
            loss = segmentation_loss(head.of_groups(maps, kept), masks, protocol.mean_of_all)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    for each in trained:
        each.eval()


def _optimiser(optimiser: Optimiser, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    if optimiser.kind == "adamw":
        return torch.optim.AdamW(parameters, weight_decay=optimiser.weight_decay)
    return torch.optim.SGD(parameters, momentum=0.9, weight_decay=optimiser.weight_decay)
