"""lightly's VICRegL and VICReg: its losses, heads and transforms, as its examples put them together.

Shape letters: n samples, c channels, h rows and w columns of a feature map, D and d widths of the heads.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from lightly.loss import VICRegLLoss, VICRegLoss
from lightly.models.modules.heads import VicRegLLocalProjectionHead, VICRegProjectionHead
from lightly.transforms import VICRegTransform
from torch import Tensor, nn

from vicregl_fast.augment.recipe import view_recipes
from vicregl_fast.benchmarks.peers.lightly import vicregl_transform
from vicregl_fast.config import RunConfig
from vicregl_fast.geometry.directions import LARGE_VIEWS
from vicregl_fast.models.backbone import Backbone, build_backbone, feature_grid


class LightlyMethod(Protocol):
    """A network with its loss.

    Attributes:
        backbone: ours, so that it is the same network, and is judged in the same way.
        transform: an image to what a batch is collated of.
    """

    backbone: Backbone
    transform: Callable[[Any], list[Tensor]]

    def outputs(self, batch: Sequence[Tensor]) -> list[Any]:
        """What the loss is formed of, for a collated batch."""
        ...

    def loss(self, outputs: list[Any], batch: Sequence[Tensor]) -> Tensor:
        """The loss, in float32."""
        ...


class LightlyVICRegL(nn.Module):
    """Backbone, two heads and ``VICRegLLoss``.

    Args:
        config: our run's: backbone, widths, views, and the loss's coefficients and numbers of matches.
    """

    def __init__(self, config: RunConfig):
        super().__init__()
        self.backbone = build_backbone(config.model.backbone_config)
        channels, expander, projector = self.backbone.channels, config.model.expander, config.model.projector
        self.expander = VICRegProjectionHead(channels, expander, expander, num_layers=3)
        self.projector = VicRegLLocalProjectionHead(channels, projector, projector)
        recipes = view_recipes(config.views)
        grids = [feature_grid(self.backbone, recipe.size) for recipe in recipes]
        self.transform = vicregl_transform(recipes, grids)
        cells, loss = min(grids) ** 2, config.loss
        self._criterion = VICRegLLoss(
            loss.invariance, loss.variance, loss.covariance, loss.alpha,
            num_matches=(min(loss.gamma_large, cells), min(loss.gamma_small, cells)),
        )  # fmt: skip

    def outputs(self, batch: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Global [n, D] and local [n, h, w, d] embeddings of each view, which are the first half of the batch."""
        return [self._embed(view) for view in batch[: len(batch) // 2]]

    def loss(self, outputs: list[tuple[Tensor, Tensor]], batch: Sequence[Tensor]) -> Tensor:
        """The loss of all views; the second half of the batch are their grids."""
        features = [(embedding.float(), cells.float()) for embedding, cells in outputs]
        grids = batch[len(batch) // 2 :]
        small = (features[LARGE_VIEWS:], grids[LARGE_VIEWS:]) if len(features) > LARGE_VIEWS else (None, None)
        return self._criterion(features[:LARGE_VIEWS], grids[:LARGE_VIEWS], *small).sum()  # it has one element

    def _embed(self, view: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.backbone(view)
        return self.expander(maps.pooled), self.projector(maps.map.permute(0, 2, 3, 1))


class LightlyVICReg(nn.Module):
    """Backbone, one head and ``VICRegLoss``, on the two views of lightly's transform for it.

    Args:
        config: our run's: backbone, width, size and scale of the large views, and the loss's coefficients.
    """

    def __init__(self, config: RunConfig):
        super().__init__()
        self.backbone = build_backbone(config.model.backbone_config)
        width = config.model.expander
        self.expander = VICRegProjectionHead(self.backbone.channels, width, width, num_layers=3)
        large = view_recipes(config.views)[0]
        self.transform = VICRegTransform(large.size, min_scale=large.crop.scale[0])
        self._criterion = VICRegLoss(config.loss.invariance, config.loss.variance, config.loss.covariance)

    def outputs(self, batch: Sequence[Tensor]) -> list[Tensor]:
        """The embeddings of both views, [n, D] each."""
        return [self.expander(self.backbone(view).pooled) for view in batch]

    def loss(self, outputs: list[Tensor], batch: Sequence[Tensor]) -> Tensor:
        """The loss of the two views."""
        return self._criterion(*(embedding.float() for embedding in outputs))
