"""The local part of the loss (paper, equations 4 to 6), with its gradient: the criterion between matched cells.

Slot number j of a direction holds the j-th kept match of every sample, in cell order: the query cell on one side and
its neighbour on the other. Statistics are over the samples of each side. All slots of all directions lie in one table,
which is worked through in blocks. The gradient of a block is added to the cells at once, so that no more than one block
of matched embeddings is ever held.

Shape letters: n samples of this rank, c cells, k directions, p or s slots, d channels, t terms, 2 the sides of a match,
r rows (cells of all samples) of a map.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from vicregl_fast.geometry.directions import Direction
from vicregl_fast.geometry.matches import Matches
from vicregl_fast.losses.batch_statistics import Spread, SpreadWeights, spread
from vicregl_fast.losses.blocks import block_bytes, widen
from vicregl_fast.losses.collectives import world_size
from vicregl_fast.losses.config import Criterion, SimCLR, VICReg
from vicregl_fast.losses.contrast import contrast
from vicregl_fast.losses.slots import EveryCellView, SlotTable, lay_out
from vicregl_fast.losses.terms import Terms, names_of


def local_terms(
    maps: Sequence[Tensor], compared: Sequence[tuple[Direction, Matches[Tensor]]], criterion: Criterion, gradient: bool
) -> Terms:
    """The criterion's terms [k, t] of every direction, and the gradient of their weighted sum.

    Args:
        maps: local embeddings [n, c, d] of each view.
        compared: directions with their matches, int64 [n, g] with a g of its own for each direction.
        criterion: what compares matched cells.
        gradient: whether to form the gradient, one [n, c, d] a view.
    """
    samples, _, channels = maps[0].shape
    dtype = widen(maps[0][:0]).dtype
    directions, kept = zip(*((direction, matches.queries.shape[1]) for direction, matches in compared), strict=True)
    table = lay_out(directions, kept, tuple(map_ncd.shape[1] for map_ncd in maps), maps[0].device)
    rows_2pn = _rows(table, [compared[k][1] for k in table.order])
    flat = [map_ncd.flatten(0, 1) for map_ncd in maps]
    gradients = [torch.zeros_like(rows_rd, dtype=dtype) for rows_rd in flat] if gradient else []
    values_pt = flat[0].new_empty((len(table.weights_p), len(names_of(criterion))), dtype=dtype)
    longest = _longest_block(criterion, samples, channels, values_pt)
    for block, every_cell in table.blocks(longest):
        z_2pnd = values_pt.new_empty((2, block.stop - block.start, samples, channels))
        for side in (0, 1):
            for view, part in table.runs(side, block):
                rows = rows_2pn[side, block][part].flatten()
                _select(flat[view], rows, z_2pnd[side, part].view(-1, channels))
        weights_p = table.weights_p[block].to(dtype) if gradient else None
        if isinstance(criterion, SimCLR):
            values_pt[block], gradient_2pnd = _simclr(z_2pnd, weights_p, criterion)
        else:
            values_pt[block], gradient_2pnd = _vicreg(z_2pnd, weights_p, criterion, every_cell)
        for side in (0, 1) if gradient else ():
            for view, part in table.runs(side, block):
                rows = rows_2pn[side, block][part].flatten()
                gradients[view].index_add_(0, rows, gradient_2pnd[side, part].flatten(0, 1))
    values_kt = table.means_kp.to(dtype) @ values_pt
    gradients = [rows_rd.view_as(map_ncd) for rows_rd, map_ncd in zip(gradients, maps, strict=gradient)]
    if isinstance(criterion, VICReg) and _has_spread(criterion):
        for each in table.every_cell:
            own = gradients[each.view] if gradient else None
            _add_every_cell_view(maps[each.view], each, criterion, 2 * longest, values_kt, own)
    return Terms(values_kt, gradients)


def _select(flat_rd: Tensor, rows: Tensor, out: Tensor) -> None:
    """Copies rows of a map into ``out`` [rows, d], whose type may be wider."""
    if flat_rd.dtype == out.dtype:
        torch.index_select(flat_rd, 0, rows, out=out)
    else:
        out.copy_(flat_rd.index_select(0, rows))


def _rows(table: SlotTable, matches: Sequence[Matches[Tensor]]) -> Tensor:
    """Where both sides of every slot lie among the rows of their views' maps, int64 [2, p, n]."""
    matched_2np = torch.stack([torch.cat([sides[side] for sides in matches], dim=1) for side in (0, 1)])
    counting_n = torch.arange(matched_2np.shape[1], device=matched_2np.device)
    return table.cells_2p[:, :, None] * counting_n + matched_2np.transpose(1, 2)


def _longest_block(criterion: Criterion, samples: int, channels: int, like: Tensor) -> int:
    """How many slots fit into a block, with the embeddings of both sides and the products between samples."""
    batch = samples * world_size()
    products = 4 * samples * batch if isinstance(criterion, SimCLR) else 2 * min(samples * batch, channels**2)
    return max(1, block_bytes(like.device) // ((2 * samples * channels + products) * like.dtype.itemsize))


def _has_spread(criterion: VICReg) -> bool:
    return criterion.variance > 0 or criterion.covariance > 0


def _vicreg(z_2pnd: Tensor, weights_p: Tensor | None, criterion: VICReg, every_cell: bool) -> tuple[Tensor, Tensor]:
    """Terms [p, t] and gradient [2, p, n, d] of a block of slots.

    Where the queries are ``every_cell`` of a view, their variance and covariance are left to ``_add_every_cell_view``.
    """
    differences = z_2pnd[0] - z_2pnd[1]
    values_pt = differences.new_zeros((len(differences), 3))
    values_pt[:, 0] = criterion.invariance * differences.square().mean((1, 2))
    sides_2pnd = z_2pnd[1:] if every_cell else z_2pnd
    if _has_spread(criterion):
        sides = len(sides_2pnd)
        formed = _spread(sides_2pnd.flatten(0, 1), None if weights_p is None else weights_p.repeat(sides), criterion)
        values_pt[:, 1] = formed.variance_s.view(sides, -1).sum(0)
        values_pt[:, 2] = formed.covariance_s.view(sides, -1).sum(0)
        gradient_2pnd = sides_2pnd if formed.gradient_snd is None else formed.gradient_snd.view_as(sides_2pnd)
    else:
        gradient_2pnd = sides_2pnd.zero_()
    if weights_p is None:
        return values_pt, gradient_2pnd
    pull_p11 = (2 * criterion.invariance / differences[0].numel() * weights_p)[:, None, None]
    gradient_2pnd[-1].addcmul_(differences, pull_p11, value=-1)
    if every_cell:
        return values_pt, torch.stack([differences * pull_p11, gradient_2pnd[0]])
    gradient_2pnd[0].addcmul_(differences, pull_p11)
    return values_pt, gradient_2pnd


def _spread(z_snd: Tensor, weights_s: Tensor | None, criterion: VICReg) -> Spread:
    """Variance and covariance of one side of slots, with coefficients. Each of the two sides counts half."""
    variance, covariance = criterion.variance / 2, criterion.covariance / 2
    weights = None if weights_s is None else SpreadWeights(variance * weights_s, covariance * weights_s)
    formed = spread(z_snd, weights, covariance=covariance > 0)
    return Spread(variance * formed.variance_s, covariance * formed.covariance_s, formed.gradient_snd)


def _simclr(z_2pnd: Tensor, weights_p: Tensor | None, criterion: SimCLR) -> tuple[Tensor, Tensor]:
    """Terms [p, 1] and gradient [2, p, n, d] of a block of slots."""
    formed = contrast(z_2pnd.permute(1, 2, 0, 3), criterion.temperature, weights_p)
    gradient = z_2pnd if formed.gradient_sn2d is None else formed.gradient_sn2d.permute(2, 0, 1, 3)
    return formed.values_s[:, None], gradient


def _add_every_cell_view(
    map_ncd: Tensor,
    view: EveryCellView,
    criterion: VICReg,
    longest: int,
    values_kt: Tensor,
    gradient_ncd: Tensor | None,
) -> None:
    """Adds the variance and covariance of queries that are every cell of a view.

    They are the same for all directions with these queries, and so are formed once.

    Args:
        map_ncd: the view's local embeddings.
        view: which directions these are, and the sum of their weights.
        criterion: its coefficients.
        longest: cells of a block.
        values_kt: terms of all directions, which are added to.
        gradient_ncd: of the view, which is added to; None for no gradient.
    """
    cells = map_ncd.shape[1]
    for low in range(0, cells, longest):
        block = slice(low, low + longest)
        z_cnd = widen(map_ncd[:, block]).transpose(0, 1).clone()
        weights_c = None if gradient_ncd is None else z_cnd.new_full((len(z_cnd),), view.weight / cells)
        formed = _spread(z_cnd, weights_c, criterion)
        share = torch.stack([formed.variance_s.sum(), formed.covariance_s.sum()]) / cells
        values_kt[:, 1:].index_add_(0, view.directions_k, share.expand(len(view.directions_k), 2))
        if gradient_ncd is not None and formed.gradient_snd is not None:
            gradient_ncd[:, block] += formed.gradient_snd.transpose(0, 1)
