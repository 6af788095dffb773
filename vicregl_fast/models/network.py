"""Backbone, heads and online classifier as one module, so that one DistributedDataParallel wraps them all."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from vicregl_fast.models.backbone import Backbone, build_backbone
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.models.heads import LocalProjector, mlp


class NetworkOutputs(NamedTuple):
    """Of v views of n samples each.

    Attributes:
        embeddings: v tensors [n, D], or None without an expander.
        maps: v tensors [n, cells, d], or None without a projector.
        logits: [n, classes] of the first view, or None without a classifier; no gradient reaches the backbone.
    """

    embeddings: list[Tensor] | None
    maps: list[Tensor] | None
    logits: Tensor | None


class VICRegLNetwork(nn.Module):
    """What is trained. Heads of a criterion of weight zero are not built (method, section 3).

    Args:
        config: architecture.
        use_global: build the expander (α > 0).
        use_local: build the projector (α < 1).
        classes: build an online linear classifier for this many classes; 0 builds none.
    """

    def __init__(self, config: ModelConfig, use_global: bool, use_local: bool, classes: int = 0):
        super().__init__()
        self.backbone: Backbone = build_backbone(config.backbone_config)
        channels = self.backbone.channels
        norm = config.head_norm
        if norm == "auto":
            norm = "layer" if config.backbone_config.is_convnext else "batch"
        self.expander = mlp(channels, config.expander, norm) if use_global else None
        self.projector = LocalProjector(channels, config.projector, norm) if use_local else None
        self.classifier = nn.Linear(channels, classes) if classes else None

    def forward(self, views: Sequence[Tensor]) -> NetworkOutputs:
        """views: v tensors [n, 3, S, S], of one size or several; each is its own pass, with its own BatchNorm batch."""
        features = [self.backbone(view) for view in views]
        return NetworkOutputs(
            [self.expander(f.pooled) for f in features] if self.expander is not None else None,
            [self.projector(f.map) for f in features] if self.projector is not None else None,
            self.classifier(features[0].pooled.detach()) if self.classifier is not None else None,
        )

    def classify(self, images: Tensor) -> Tensor:
        """Logits [n, classes] of whole images [n, 3, S, S] by the online classifier."""
        assert self.classifier is not None
        return self.classifier(self.backbone(images).pooled)
