"""Which network is trained: the settings ``--model.*``."""

from dataclasses import dataclass
from typing import Literal

from dataprep.errors import UserError

STRIDES = (8, 16, 32)
"""Pixels along a side of a cell that backbones can have."""


def architecture_name(name: str) -> str:
    """A timm name without what follows a dot, which says whose weights timm offers for it."""
    return name.partition(".")[0]


@dataclass(frozen=True)
class BackboneConfig:
    """Which backbone to build (docs/method.md, Network).

    Attributes:
        name: a timm model name.
        output_stride: pixels of the view along a side of a cell: 32, or 16 or 8 by dilation where the model allows it.
        drop_path: stochastic depth rate, from 0 to below 1; None means 0.1 for a ConvNeXt and 0 otherwise.
        zero_init: start a ResNet's residual branches at zero, by the scale of their last norm; False leaves it at one.
    """

    name: str = "resnet50"
    output_stride: int = 32
    drop_path: float | None = None
    zero_init: bool = True

    @property
    def effective_drop_path(self) -> float:
        """The rate of ``drop_path``, or of what None means."""
        return (0.1 if self.is_convnext else 0.0) if self.drop_path is None else self.drop_path

    @property
    def is_convnext(self) -> bool:
        """Whether the published settings for ConvNeXts apply."""
        return self.name.startswith("convnext")


@dataclass(frozen=True)
class ModelConfig:
    """The network (docs/method.md, Network).

    Attributes:
        backbone: a timm model name.
        output_stride: pixels of the view along a side of a cell of the feature map (32, 16 or 8).
        drop_path: stochastic depth rate; null means 0.1 for a ConvNeXt and 0 otherwise.
        zero_init: start a ResNet's residual branches at zero, as published; false leaves the scale of their last norm
            at one.
        expander: width of the three layers on the pooled vector.
        projector: width of the three layers on every cell of the feature map.
        head_norm: norm of both heads; auto means layer for a ConvNeXt and batch otherwise.
        weights: what a new run starts from: a run, a checkpoint, or a file of weights (timm, torchvision, safetensors,
            released VICRegL); null draws all weights.
    """

    backbone: str = "resnet50"
    output_stride: int = 32
    drop_path: float | None = None
    zero_init: bool = True
    expander: int = 8192
    projector: int = 512
    head_norm: Literal["auto", "batch", "layer"] = "auto"
    weights: str | None = None

    def __post_init__(self) -> None:
        if min(self.expander, self.projector) < 1:
            raise UserError("model.expander and model.projector are widths and must be at least 1")
        if self.output_stride not in STRIDES:
            raise UserError(f"model.output_stride is {self.output_stride}; give 8, 16 or 32 pixels")
        if self.drop_path is not None and not 0 <= self.drop_path < 1:
            raise UserError(f"model.drop_path is {self.drop_path}; give a rate of at least 0 and below 1")

    @property
    def backbone_config(self) -> BackboneConfig:
        """The settings of the backbone alone."""
        return BackboneConfig(self.backbone, self.output_stride, self.drop_path, self.zero_init)
