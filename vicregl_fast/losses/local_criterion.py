"""The local part of the loss (paper, equations 4 to 6), with its gradient: the criterion between matched cells.

A slot of a direction holds, for every sample, its t-th kept match in cell order: the query cell on one side and its
neighbour on the other; statistics run over the samples of each side. All slots of all directions lie in one table,
which is worked through in blocks; a block's gradient goes straight to the cells, so that no more than a block of
matched embeddings is ever held. Shape letters: n samples of this rank, c cells, p slots, d channels, t terms, 2 the
sides, r rows (cells of all samples) of a map.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor

from vicregl_fast.losses.batch_statistics import SpreadWeights, spread
from vicregl_fast.losses.blocks import block_bytes, widen
from vicregl_fast.losses.config import Criterion, SimCLR, VICReg
from vicregl_fast.losses.contrast import contrast
from vicregl_fast.losses.directions import Direction
from vicregl_fast.losses.feature_matching import Matches
from vicregl_fast.losses.terms import Terms, names_of


def local_terms(
    maps: Sequence[Tensor], compared: Sequence[tuple[Direction, Matches]], criterion: Criterion, gradient: bool
) -> Terms:
    """The criterion's terms of every direction [k, t], and the gradient of their weighted sum, one [n, c, d] a view.

    Args:
        maps: local embeddings [n, c, d] of each view.
        compared: directions with their matches, int64 [n, g] each.
        criterion: what compares matched cells.
        gradient: whether to form the gradient.
    """
    samples, _, channels = maps[0].shape
    table = _Table(maps, compared)
    dtype = widen(maps[0][:0]).dtype
    flat = [map_ncd.flatten(0, 1) for map_ncd in maps]
    gradients = [torch.zeros_like(rows_rd, dtype=dtype) for rows_rd in flat] if gradient else []
    values_pt = flat[0].new_empty((table.slots, len(names_of(criterion))), dtype=dtype)
    for block, whole in table.blocks(
        max(1, block_bytes(values_pt.device) // (2 * samples * channels * dtype.itemsize))
    ):
        z_2pnd = values_pt.new_empty((2, block.stop - block.start, samples, channels))
        for view, rows, z_pnd in table.by_view(block, z_2pnd):
            z_pnd.copy_(flat[view].index_select(0, rows).view_as(z_pnd))
        weights_p = table.weights_p[block].to(dtype) if gradient else None
        if isinstance(criterion, SimCLR):
            values_pt[block], gradient_2pnd = _simclr(z_2pnd, weights_p, criterion)
        else:
            values_pt[block], gradient_2pnd = _vicreg(z_2pnd, weights_p, criterion, whole)
        if gradient:
            for view, rows, gradient_pnd in table.by_view(block, gradient_2pnd):
                gradients[view].index_add_(0, rows, gradient_pnd.flatten(0, 1))
    values_kt = torch.stack([values.mean(0) for values in values_pt.split(table.lengths)])
    gradients = [rows_rd.view_as(map_ncd) for rows_rd, map_ncd in zip(gradients, maps, strict=gradient)]
    if isinstance(criterion, VICReg):
        _add_whole_maps(maps, table, criterion, values_kt, gradients)
    return Terms(values_kt[table.places], gradients)


class _Table:
    """All slots of all directions, those of directions that keep every cell of their query view last.

    rows_2pn: where query and neighbour of every slot and sample lie among the rows of their views.
    weights_p: each slot's share in the local criterion.
    lengths: slots of each direction, in the table's order; ``places`` tells where each direction given has gone.
    whole: of the views whose every cell asks, their directions' places and the sum of these directions' weights.
    """

    def __init__(self, maps: Sequence[Tensor], compared: Sequence[tuple[Direction, Matches]]) -> None:
        cells = [map_ncd.shape[1] for map_ncd in maps]
        kept = [queries.shape[1] for _, (queries, _) in compared]
        whole = [kept[k] == cells[direction.query] for k, (direction, _) in enumerate(compared)]
        order = sorted(range(len(compared)), key=lambda k: (whole[k], compared[k][0].query, compared[k][0].neighbour))
        self.places = sorted(range(len(order)), key=lambda place: order[place])
        self.lengths = [kept[k] for k in order]
        self.slots = sum(kept)
        self._selected = sum(kept[k] for k in order if not whole[k])
        self.whole: dict[int, tuple[list[int], float]] = {}
        for place, k in enumerate(order):
            if whole[k]:
                places, weight = self.whole.get(compared[k][0].query, ([], 0.0))
                self.whole[compared[k][0].query] = ([*places, place], weight + compared[k][0].weight)
        self._views_2p = [
            [view for k in order for view in [getattr(compared[k][0], side)] * kept[k]]
            for side in ("query", "neighbour")
        ]
        device = maps[0].device
        matched_2np = torch.stack([torch.cat([compared[k][1][side] for k in order], dim=1) for side in (0, 1)])
        cells_2p = torch.tensor([[cells[view] for view in views_p] for views_p in self._views_2p], device=device)
        self.rows_2pn = torch.arange(len(maps[0]), device=device) * cells_2p[:, :, None] + matched_2np.transpose(1, 2)
        weights = [compared[k][0].weight / kept[k] for k in order for _ in range(kept[k])]
        self.weights_p = torch.tensor(weights, dtype=torch.float64, device=device)

    def blocks(self, longest: int) -> Iterator[tuple[slice, bool]]:
        """Slots that are worked on together, and whether their queries are all cells of their views."""
        for start, stop, whole in ((0, self._selected, False), (self._selected, self.slots, True)):
            for low in range(start, stop, longest):
                yield slice(low, min(low + longest, stop)), whole

    def by_view(self, block: slice, z_2pnd: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
        """The parts of a block's embeddings that are of one view: the view, their rows in it, and they themselves."""
        for views_p, rows_pn, z_pnd in zip(self._views_2p, self.rows_2pn[:, block], z_2pnd, strict=True):
            start = 0
            for view, alike in groupby(views_p[block]):
                part = slice(start, start + len(list(alike)))
                yield view, rows_pn[part].flatten(), z_pnd[part]
                start = part.stop


def _vicreg(z_2pnd: Tensor, weights_p: Tensor | None, criterion: VICReg, whole: bool) -> tuple[Tensor, Tensor]:
    """Terms [p, t] and gradient. Statistics of ``whole`` queries are left to ``_add_whole_maps``."""
    differences = z_2pnd[0] - z_2pnd[1]
    values = [criterion.invariance * differences.square().mean((1, 2))]
    sides_2pnd = z_2pnd[1:] if whole else z_2pnd
    weights = None
    if weights_p is not None:
        halves = weights_p.repeat(len(sides_2pnd)) / 2
        weights = SpreadWeights(criterion.variance * halves, criterion.covariance * halves)
    formed = spread(sides_2pnd.flatten(0, 1), weights)
    for coefficient, value_s in ((criterion.variance, formed.variance_s), (criterion.covariance, formed.covariance_s)):
        values.append(coefficient / 2 * value_s.view(len(sides_2pnd), -1).sum(0))
    if formed.gradient_snd is None or weights_p is None:
        return torch.stack(values, 1), z_2pnd
    pull_p11 = (2 * criterion.invariance / differences[0].numel() * weights_p)[:, None, None]
    gradient_2pnd = formed.gradient_snd.view_as(sides_2pnd)
    gradient_2pnd[-1].addcmul_(differences, pull_p11, value=-1)
    if whole:
        return torch.stack(values, 1), torch.stack([differences * pull_p11, gradient_2pnd[0]])
    gradient_2pnd[0].addcmul_(differences, pull_p11)
    return torch.stack(values, 1), gradient_2pnd


def _simclr(z_2pnd: Tensor, weights_p: Tensor | None, criterion: SimCLR) -> tuple[Tensor, Tensor]:
    """Terms [p, 1] and gradient."""
    formed = contrast(z_2pnd.permute(1, 2, 0, 3), criterion.temperature, weights_p)
    gradient = z_2pnd if formed.gradient_sn2d is None else formed.gradient_sn2d.permute(2, 0, 1, 3)
    return formed.values_s[:, None], gradient


def _add_whole_maps(
    maps: Sequence[Tensor], table: _Table, criterion: VICReg, values_kt: Tensor, gradients: Sequence[Tensor]
) -> None:
    """Statistics of queries that are all cells of a view: the same whatever they look for, so formed once a view."""
    for view, (places, weight) in table.whole.items():
        z_cnd = widen(maps[view]).transpose(0, 1).clone()
        weights = None
        if gradients:
            halves = z_cnd.new_full((len(z_cnd),), weight / len(z_cnd) / 2)
            weights = SpreadWeights(criterion.variance * halves, criterion.covariance * halves)
        formed = spread(z_cnd, weights)
        values_kt[places, 1] += criterion.variance / 2 * formed.variance_s.mean()
        values_kt[places, 2] += criterion.covariance / 2 * formed.covariance_s.mean()
        if formed.gradient_snd is not None:
            gradients[view] += formed.gradient_snd.transpose(0, 1)
