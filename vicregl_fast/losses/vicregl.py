"""The VICRegL loss: the global and the local criterion, weighed by alpha (paper, equations 4 to 6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.directions import Direction, plan_directions
from vicregl_fast.losses.gather import mean_over_ranks
from vicregl_fast.losses.global_criterion import Terms, global_terms
from vicregl_fast.losses.local_criterion import LocalCriterion, Matches, match_features
from vicregl_fast.losses.statistics import widen


@dataclass(frozen=True)
class LossTerms:
    """The loss of one step.

    total: scalar with gradient; its value is the global batch's, the same on every rank.
    named: detached scalars, likewise of the global batch, with the coefficients (25, 25, 1) applied:
        ``global_invariance``, ``global_variance``, ``global_covariance``, and the same three after
        ``local_location_`` and ``local_feature_``, summed over directions with their weights. So
        total = alpha * (sum of global_*) + (1 - alpha) * (sum of local_*).
        The terms of a criterion of weight zero are absent.
    """

    total: Tensor
    named: dict[str, Tensor]


class VICRegLLoss(nn.Module):
    """Forms the loss from the embeddings and matched cells of all views; has no parameters.

    Under DistributedDataParallel every rank passes its own samples, equally many, and the averaged
    gradients are those of one process on the concatenated batch.

    Attributes:
        plan: the directions that ``forward`` needs location matches for, and those it matches by features
        itself.
    """

    def __init__(self, config: LossConfig, num_views: int, num_large: int = 2) -> None:
        super().__init__()
        self.config = config
        self.num_views = num_views
        self.plan = plan_directions(config, num_views, num_large)

    def forward(
        self,
        embeddings: Sequence[Tensor] | None,
        maps: Sequence[Tensor] | None,
        location: Mapping[Direction, Matches],
    ) -> LossTerms:
        """The loss of one batch, in float32 under any autocast; float64 stays float64.

        Args:
            embeddings: global embeddings [n, D], one per view; unused at alpha 0.
            maps: local embeddings [n, c, d], one per view, cells in row-major order; unused at alpha 1.
            location: for each of ``plan.location`` the query cells and their neighbours, int64 [n, g], with
                the same g for all samples and queries ascending.

        Raises:
            ValueError: if the global batch is a single sample, or views are missing.
        """
        alpha = self.config.alpha
        z_views = self._per_view("embeddings", embeddings) if alpha > 0 else []
        map_views = self._per_view("maps", maps) if alpha < 1 else []
        weighted: dict[str, tuple[float, Tensor]] = {}
        with torch.autocast((z_views or map_views)[0].device.type, enabled=False):
            if alpha > 0:
                terms = global_terms(z_views, self.plan.pairs, self.config.global_coefficients())
                weighted |= _named("global", alpha, terms)
            if alpha < 1:
                criterion = LocalCriterion(map_views, self.config.local_coefficients())
                features = match_features(map_views, self.plan.feature)
                weighted |= _named("local_location", 1 - alpha, criterion.terms(location, self.plan.location))
                weighted |= _named("local_feature", 1 - alpha, criterion.terms(features, self.plan.feature))
            return _over_ranks(weighted)

    def _per_view(self, name: str, tensors: Sequence[Tensor] | None) -> list[Tensor]:
        given = 0 if tensors is None else len(tensors)
        if tensors is None or given != self.num_views:
            raise ValueError(f"the loss is for {self.num_views} views and got {given} {name}: pass one tensor per view")
        return [widen(tensor) for tensor in tensors]


def _named(prefix: str, weight: float, terms: Terms) -> dict[str, tuple[float, Tensor]]:
    return {f"{prefix}_{term}": (weight, value) for term, value in vars(terms).items()}


def _over_ranks(weighted: Mapping[str, tuple[float, Tensor]]) -> LossTerms:
    """Sums the terms; their values become means over ranks, the gradient stays this rank's share."""
    own = torch.stack([value for _, value in weighted.values()])
    values = mean_over_ranks(own)
    weights = own.new_tensor([weight for weight, _ in weighted.values()])
    share = weights @ own
    total = share + (weights @ values - share).detach()
    return LossTerms(total, dict(zip(weighted, values.unbind(), strict=True)))
