"""The backbones that an evaluation compares: the trained one, and the same architecture untrained."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from vicregl_fast.devices import choose_device
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.weights.loading import drawn_backbone, trained_backbone
from vicregl_fast.weights.source import Weights


@dataclass(frozen=True)
class Candidate:
    """A backbone to be judged.

    Attributes:
        name: its name in the table of results.
        backbone: in eval mode, on the device where it is judged.
        trained: whether it was trained; if not, its BatchNorm statistics are re-estimated before it is judged.
    """

    name: str
    backbone: Backbone
    trained: bool = True


def load_candidates(
    weights: Weights, random_init: bool, seed: int, output_stride: int | None = None
) -> Iterator[Candidate]:
    """Yields the trained backbone, and after it an untrained one if that is asked for.

    Each is built only when its turn comes, on the GPU where there is one.

    Args:
        weights: of the trained one, which say what it is.
        random_init: whether to yield the same architecture with weights drawn from ``seed``, too.
        seed: of these weights.
        output_stride: pixels per cell of the feature map, if other than in training.

    Raises:
        UserError: the weights do not fit the backbone, or it has no such output stride.
    """
    yield Candidate("trained", _placed(trained_backbone(weights, output_stride)))
    if random_init:
        untrained = drawn_backbone(weights.architecture, seed, output_stride)
        yield Candidate("random", _placed(untrained), trained=False)


def _placed(backbone: Backbone) -> Backbone:
    return backbone.to(choose_device(), memory_format=torch.channels_last)  # type: ignore[call-overload]
