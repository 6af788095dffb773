"""The VICRegL loss: the global and the local criterion, weighed by alpha (paper, equations 4 to 6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from vicregl_fast.geometry.directions import Direction
from vicregl_fast.geometry.matches import Matches
from vicregl_fast.losses.blocks import constant, full_precision, widen
from vicregl_fast.losses.collectives import mean_over_ranks
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.feature_matching import match_features
from vicregl_fast.losses.global_criterion import global_terms
from vicregl_fast.losses.health import spread_and_correlation
from vicregl_fast.losses.local_criterion import local_terms
from vicregl_fast.losses.plan import plan_directions
from vicregl_fast.losses.terms import names_of, with_gradient


@dataclass(frozen=True)
class LossTerms:
    """The loss of one step.

    total: scalar with gradient; its value is the global batch's, the same on every rank.
    named: detached scalars, likewise of the global batch, with the criterion's coefficients applied:
        ``global_invariance``, ``global_variance``, ``global_covariance``, and the same three after
        ``local_location_`` and ``local_feature_``, summed over directions with their weights; under SimCLR's criterion
        ``..._contrast`` in place of the three. So total = alpha * (sum of global_*) + (1 - alpha) * (sum of local_*).
        The terms of what is switched off are absent.
    details: detached scalars, where asked for: ``location/0to1_kept20/invariance`` and so on, every direction's terms
        before its weight; ``health/global_std``, ``health/global_correlation`` of the first view's embeddings
        (``health.spread_and_correlation``), and the same for ``local``, in the mean over its cells.
    """

    total: Tensor
    named: dict[str, Tensor]
    details: dict[str, Tensor]


class VICRegLLoss(nn.Module):
    """Forms the loss from the embeddings and matched cells of all views; has no parameters.

    Under DistributedDataParallel every rank passes its own samples, equally many, and the averaged
    gradients are those of one process on the concatenated batch.

    Attributes:
        plan: the directions that ``forward`` needs location matches for, and those it matches by features
        itself.
    """

    def __init__(self, config: LossConfig, num_views: int) -> None:
        super().__init__()
        self.config = config
        self.num_views = num_views
        self.plan = plan_directions(config, num_views)

    def forward(
        self,
        embeddings: Sequence[Tensor] | None,
        maps: Sequence[Tensor] | None,
        location: Mapping[Direction, Matches[Tensor]],
        details: bool = False,
    ) -> LossTerms:
        """The loss of one batch, in float32 under any autocast; float64 stays float64.

        Args:
            embeddings: global embeddings [n, D], one per view; unused at alpha 0.
            maps: local embeddings [n, c, d], one per view, cells in row-major order; unused at alpha 1.
            location: the matches of each of ``plan.location``.
            details: also give ``LossTerms.details``; every rank must ask alike.

        Raises:
            ValueError: if views are missing, or VICReg's statistics are asked of a single sample.
        """
        alpha, parts = self.config.alpha, []
        if alpha > 0:
            parts.append(self._global(self._per_view("embeddings", embeddings), alpha))
        if alpha < 1:
            parts.append(self._local(self._per_view("maps", maps), location, 1 - alpha))
        parts = _averaged(parts)
        named: dict[str, Tensor] = {}
        more: dict[str, Tensor] = {}
        with full_precision(parts[0].inputs[0].device):
            total = torch.stack([part.add_to(named) for part in parts]).sum()
            if details:
                for part in parts:
                    more |= part.by_direction() | part.health()
        return LossTerms(total, named, more)

    def _global(self, z_views: Sequence[Tensor], weight: float) -> "_Part":
        criterion = self.config.of_global()
        with full_precision(z_views[0].device):
            z_vnd = widen(torch.stack(list(z_views)).detach())
            terms = global_terms(z_vnd, self.plan.pairs, criterion, torch.is_grad_enabled())
        return _Part(weight, z_views, names_of(criterion), terms.values[None], terms.gradients, {"global": (None,)})

    def _local(
        self, map_views: Sequence[Tensor], location: Mapping[Direction, Matches[Tensor]], weight: float
    ) -> "_Part":
        criterion = self.config.of_local()
        with full_precision(map_views[0].device):
            maps = [map_ncd.detach() for map_ncd in map_views]
            feature = match_features(maps, self.plan.feature)
            compared = [(each, location[each]) for each in self.plan.location]
            compared += [(each, feature[each]) for each in self.plan.feature]
            terms = local_terms(maps, compared, criterion, torch.is_grad_enabled())
        rows = {"local_location": self.plan.location, "local_feature": self.plan.feature}
        return _Part(weight, map_views, names_of(criterion), terms.values, terms.gradients, rows)

    def _per_view(self, name: str, tensors: Sequence[Tensor] | None) -> Sequence[Tensor]:
        given = 0 if tensors is None else len(tensors)
        if tensors is None or given != self.num_views:
            raise ValueError(f"the loss is for {self.num_views} views and got {given} {name}: pass one tensor per view")
        return tensors


@dataclass(frozen=True)
class _Part:
    """The global or the local criterion.

    values: [k, t], a row for everything in ``rows``, in its order: for the directions of each way of matching, or for
        the one global comparison (None).
    """

    weight: float
    inputs: Sequence[Tensor]
    names: tuple[str, ...]
    values: Tensor
    gradients: Sequence[Tensor]
    rows: Mapping[str, Sequence[Direction | None]]

    def add_to(self, named: dict[str, Tensor]) -> Tensor:
        """Enters the terms by name, and gives this part of the total, with its gradient."""
        total = self.values.new_zeros(())
        values_by_kind = self.values.split([len(rows) for rows in self.rows.values()])
        for (kind, rows), values_kt in zip(self.rows.items(), values_by_kind, strict=True):
            if rows:
                weights = tuple(1.0 if row is None else row.weight for row in rows)
                weights_k = constant(weights, values_kt.dtype, values_kt.device)
                terms_t = weights_k @ values_kt
                named |= {f"{kind}_{name}": term for name, term in zip(self.names, terms_t.unbind(), strict=True)}
                total = total + terms_t.sum()
        return self.weight * with_gradient(total, self.inputs, self.gradients)

    def by_direction(self) -> dict[str, Tensor]:
        """The terms of every direction, before its weight."""
        rows = [(kind.removeprefix("local_"), row) for kind, rows in self.rows.items() for row in rows]
        return {
            f"{kind}/{row.query}to{row.neighbour}{'' if row.gamma is None else f'_kept{row.gamma}'}/{name}": value
            for (kind, row), values_t in zip(rows, self.values, strict=True)
            if row is not None
            for name, value in zip(self.names, values_t.unbind(), strict=True)
        }

    def health(self) -> dict[str, Tensor]:
        """Of the first view, whose cells are slots."""
        of = "global" if "global" in self.rows else "local"
        first = widen(self.inputs[0].detach())
        z_snd = first[None] if of == "global" else first.transpose(0, 1)
        std, correlation = spread_and_correlation(z_snd)
        return {f"health/{of}_std": std, f"health/{of}_correlation": correlation}


def _averaged(parts: Sequence[_Part]) -> list[_Part]:
    """With values of the global batch in place of this rank's shares; one small sum over ranks for all."""
    values = mean_over_ranks(torch.cat([part.values.flatten() for part in parts]))
    split = values.split([part.values.numel() for part in parts])
    return [replace(part, values=own.view_as(part.values)) for part, own in zip(parts, split, strict=True)]
