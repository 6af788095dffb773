"""Backbone, heads and online classifier in one module, for one DistributedDataParallel to wrap."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from vicregl_fast.models.backbone import Backbone, build_backbone
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.models.heads import LocalProjector, mlp


class NetworkOutputs(NamedTuple):
    """What the network returns for v views of n samples each.

    Attributes:
        embeddings: global embeddings, v tensors [n, D], or None without an expander.
        maps: local embeddings, v tensors [n, cells, d], or None without a projector.
        logits: [n, classes] of the first view, or None without a classifier; no gradient goes to the backbone.
        pooled: [n, C] of the first view, detached.
    """

    embeddings: list[Tensor] | None
    maps: list[Tensor] | None
    logits: Tensor | None
    pooled: Tensor


class VICRegLNetwork(nn.Module):
    """The network that is trained. The head of a criterion of weight zero is not built (docs/method.md, The loss).

    Args:
        config: the architecture.
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
        self._has_batchnorm = any(isinstance(module, _BatchNorm) for module in self.modules())

    def forward(self, views: Sequence[Tensor]) -> NetworkOutputs:
        """Computes the embeddings of all views.

        Views of one size that follow each other pass the network as one batch, but not where there is BatchNorm, whose
        statistics are those of a view.

        Args:
            views: v tensors [n, 3, S, S]; S may differ.
        """
        features = [self.backbone(batch) for batch in (views if self._has_batchnorm else _joined(views))]
        samples = len(views[0])
        pooled = features[0].pooled[:samples].detach()
        return NetworkOutputs(
            _per_view([self.expander(f.pooled) for f in features], samples) if self.expander is not None else None,
            _per_view([self.projector(f.map) for f in features], samples) if self.projector is not None else None,
            self.classifier(pooled) if self.classifier is not None else None,
            pooled,
        )


def _joined(views: Sequence[Tensor]) -> list[Tensor]:
    runs = [list(run) for _, run in groupby(views, lambda view: view.shape)]
    return [run[0] if len(run) == 1 else torch.cat(run) for run in runs]


def _per_view(batches: list[Tensor], samples: int) -> list[Tensor]:
    return [view for batch in batches for view in batch.split(samples)]
