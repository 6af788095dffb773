"""The backbones that an evaluation compares: the trained one, and the same architecture untrained."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from vicregl_fast.devices import choose_device
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.runs.networks import load_backbone


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


def load_candidates(run: Path, random_init: bool, seed: int, output_stride: int | None = None) -> Iterator[Candidate]:
    """Yields the run's backbone, and after it an untrained one if that is asked for.

    Each is loaded only when its turn comes, onto the GPU where there is one.

    Args:
        run: a run's folder, or one of its checkpoint files.
        random_init: whether to yield the same architecture with weights drawn from ``seed``, too.
        seed: of these weights.
        output_stride: pixels per cell of the feature map, if other than in training.

    Raises:
        UserError: there is no run, or it has no readable checkpoint.
    """
    yield Candidate("trained", _placed(load_backbone(run, output_stride=output_stride)))
    if random_init:
        untrained = load_backbone(run, random_init=True, seed=seed, output_stride=output_stride)
        yield Candidate("random", _placed(untrained), trained=False)


def _placed(backbone: Backbone) -> Backbone:
    return backbone.to(choose_device(), memory_format=torch.channels_last)  # type: ignore[call-overload]
