"""The backbones that an evaluation compares: the trained one, and beside it the same network untrained."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from vicregl_fast.devices import choose_device
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.runs.networks import load_backbone


@dataclass(frozen=True)
class Candidate:
    """A backbone in eval mode; BatchNorm statistics are re-estimated first if it was never ``trained``."""

    name: str
    backbone: Backbone
    trained: bool = True


def load_candidates(run: Path, random_init: bool, seed: int, output_stride: int | None = None) -> Iterator[Candidate]:
    """The run's backbone, then with ``random_init`` its architecture drawn anew from ``seed``.

    They are on CUDA where there is one, and loaded only when their turn comes.
    """
    yield Candidate("trained", _placed(load_backbone(run, output_stride=output_stride)))
    if random_init:
        untrained = load_backbone(run, random_init=True, seed=seed, output_stride=output_stride)
        yield Candidate("random", _placed(untrained), trained=False)


def _placed(backbone: Backbone) -> Backbone:
    return backbone.to(choose_device(), memory_format=torch.channels_last)  # type: ignore[call-overload]
