"""The VICRegL loss: the global and the local criterion, weighed by alpha (paper, equations 4 to 6).

Shape letters: v views, n samples of this rank, c cells, D and d channels of global and local embeddings, s slots, k
directions, t terms.
"""

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
from vicregl_fast.losses.health import effective_rank, spread_and_correlation
from vicregl_fast.losses.local_criterion import local_terms
from vicregl_fast.losses.plan import plan_directions
from vicregl_fast.losses.terms import names_of, with_gradient


@dataclass(frozen=True)
class LossTerms:
    """The loss of one step.

    Attributes:
        total: scalar with gradient; its value is the global batch's, the same on every rank.
        by_name: detached scalars, likewise of the global batch, with the criterion's coefficients applied:
            ``global_invariance``, ``global_variance``, ``global_covariance``, and the same three after
            ``local_location_`` and ``local_feature_``, summed over directions with their weights; under SimCLR's
            criterion ``..._contrast`` in place of the three. So total = alpha * (sum of global_*) + (1 - alpha) * (sum
            of local_*). The terms of what is switched off are absent.
    """

    total: Tensor
    by_name: dict[str, Tensor]
    _findings: Sequence["_Findings"]

    @torch.no_grad()
    def details(self) -> dict[str, Tensor]:
        """More scalars of the global batch, which take some work; where one rank asks for them, all must.

        Returns: ``location/0to1_kept20/invariance`` and so on, the terms of every direction before its weight;
            ``health/global_std``, ``health/global_correlation`` of the first view's embeddings
            (``health.spread_and_correlation``), and the same for ``local``, in the mean over its cells;
            ``health/global_rankme`` and ``health/local_rankme`` (``health.effective_rank``), of some cells together.
        """
        details: dict[str, Tensor] = {}
        with full_precision(self.total.device):
            for each in self._findings:
                details |= each.by_direction() | each.health()
        return details


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
    ) -> LossTerms:
        """The loss of one batch, in float32 under any autocast; float64 stays float64.

        Args:
            embeddings: global embeddings [n, D], one per view; unused at alpha 0.
            maps: local embeddings [n, c, d], one per view, cells in row-major order; unused at alpha 1.
            location: the matches of each of ``plan.location``.

        Raises:
            ValueError: views are missing.
            UserError: VICReg's statistics are asked of a single sample.
        """
        alpha, criteria = self.config.alpha, []
        if alpha > 0:
            criteria.append(self._global(self._per_view("embeddings", embeddings), alpha))
        if alpha < 1:
            criteria.append(self._local(self._per_view("maps", maps), location, 1 - alpha))
        criteria = _averaged(criteria)
        with full_precision(criteria[0].findings.first_view.device):
            parts, terms_of = zip(*(each.part_and_terms() for each in criteria), strict=True)
            total = torch.stack(parts).sum()
        by_name = {name: term for terms in terms_of for name, term in terms.items()}
        return LossTerms(total, by_name, [each.findings for each in criteria])

    def _global(self, z_views: Sequence[Tensor], weight: float) -> "_Criterion":
        criterion = self.config.of_global()
        with full_precision(z_views[0].device):
            z_vnd = widen(torch.stack(list(z_views)).detach())
            formed = global_terms(z_vnd, self.plan.pairs, criterion, torch.is_grad_enabled())
        findings = _Findings(names_of(criterion), formed.values[None], {"global": (None,)}, z_views[0].detach())
        return _Criterion(weight, z_views, formed.gradients, findings)

    def _local(
        self, map_views: Sequence[Tensor], location: Mapping[Direction, Matches[Tensor]], weight: float
    ) -> "_Criterion":
        criterion = self.config.of_local()
        with full_precision(map_views[0].device):
            maps = [map_ncd.detach() for map_ncd in map_views]
            feature = match_features(maps, self.plan.feature)
            compared = [(each, location[each]) for each in self.plan.location]
            compared += [(each, feature[each]) for each in self.plan.feature]
            formed = local_terms(maps, compared, criterion, torch.is_grad_enabled())
        rows = {"local_location": self.plan.location, "local_feature": self.plan.feature}
        findings = _Findings(names_of(criterion), formed.values, rows, maps[0])
        return _Criterion(weight, map_views, formed.gradients, findings)

    def _per_view(self, name: str, tensors: Sequence[Tensor] | None) -> Sequence[Tensor]:
        given = 0 if tensors is None else len(tensors)
        if tensors is None or given != self.num_views:
            raise ValueError(f"the loss is for {self.num_views} views and got {given} {name}: pass one tensor per view")
        return tensors


@dataclass(frozen=True)
class _Findings:
    """The values of the global or of the local criterion.

    Attributes:
        names: of the criterion's terms.
        values: [k, t], a row for everything in ``rows``, in its order.
        rows: what was compared, by the way of matching: directions, or None for the one global comparison.
        first_view: its embeddings [n, D], or its map [n, c, d].
    """

    names: tuple[str, ...]
    values: Tensor
    rows: Mapping[str, Sequence[Direction | None]]
    first_view: Tensor

    def weighted(self) -> dict[str, Tensor]:
        """The terms [t] of every way of matching, summed over directions with their weights."""
        weighted: dict[str, Tensor] = {}
        values_by_kind = self.values.split([len(rows) for rows in self.rows.values()])
        for (kind, rows), values_kt in zip(self.rows.items(), values_by_kind, strict=True):
            if rows:
                weights = tuple(1.0 if row is None else row.weight for row in rows)
                weighted[kind] = constant(weights, values_kt.dtype, values_kt.device) @ values_kt
        return weighted

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
        """Whether the first view's features have collapsed; cells count as slots."""
        of = "global" if "global" in self.rows else "local"
        first = widen(self.first_view)
        z_snd = first[None] if of == "global" else first.transpose(0, 1)
        std, correlation = spread_and_correlation(z_snd)
        rank = effective_rank(z_snd)
        return {f"health/{of}_std": std, f"health/{of}_correlation": correlation, f"health/{of}_rankme": rank}


@dataclass(frozen=True)
class _Criterion:
    """The global or the local criterion: its part of the loss, and the gradient of that.

    Attributes:
        weight: alpha, or 1 - alpha.
        inputs: what ``gradients`` are with respect to, one tensor a view.
        gradients: of the sum of the terms, before ``weight``; empty where none are wanted.
        findings: the terms.
    """

    weight: float
    inputs: Sequence[Tensor]
    gradients: Sequence[Tensor]
    findings: _Findings

    def part_and_terms(self) -> tuple[Tensor, dict[str, Tensor]]:
        """This criterion's part of the loss, with its gradient, and its terms by name."""
        total = self.findings.values.new_zeros(())
        terms: dict[str, Tensor] = {}
        for kind, terms_t in self.findings.weighted().items():
            terms |= {f"{kind}_{name}": term for name, term in zip(self.findings.names, terms_t.unbind(), strict=True)}
            total = total + terms_t.sum()
        return self.weight * with_gradient(total, self.inputs, self.gradients), terms


def _averaged(criteria: Sequence[_Criterion]) -> list[_Criterion]:
    """With values of the global batch in place of this rank's shares; one small sum over ranks for all."""
    shares = [each.findings.values for each in criteria]
    means = mean_over_ranks(torch.cat([share.flatten() for share in shares])).split([share.numel() for share in shares])
    return [
        replace(each, findings=replace(each.findings, values=mean.view_as(share)))
        for each, share, mean in zip(criteria, shares, means, strict=True)
    ]
