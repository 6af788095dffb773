"""One table of the slots of all directions, laid out once for every set of directions.

Shape letters: p slots, k directions, 2 the sides of a match (query, neighbour).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import torch
from torch import Tensor

from vicregl_fast.geometry.directions import Direction


@dataclass(frozen=True)
class EveryCellView:
    """A view whose every cell is a query of some directions, all of which therefore have the same queries.

    Attributes:
        view: its number.
        directions_k: the numbers of these directions, int64.
        weight: the sum of their weights.
    """

    view: int
    directions_k: Tensor
    weight: float


@dataclass(frozen=True)
class SlotTable:
    """The slots of ``order``'s directions, one behind the other; those of views whose every cell is a query come last.

    Attributes:
        order: the numbers of the directions as they lie in the table.
        selected: how many slots lie before those of views whose every cell is a query.
        views_2p: the view of each side of every slot.
        cells_2p: how many cells that view has, int64.
        weights_p: each slot's share in the local criterion, float64.
        means_kp: the matrix from values of slots to means of directions, in the order given, float64.
        every_cell: the views whose every cell is a query.
    """

    order: tuple[int, ...]
    selected: int
    views_2p: tuple[tuple[int, ...], tuple[int, ...]]
    cells_2p: Tensor
    weights_p: Tensor
    means_kp: Tensor
    every_cell: tuple[EveryCellView, ...]

    def blocks(self, longest: int) -> Iterator[tuple[slice, bool]]:
        """Blocks of at most ``longest`` slots, and whether their queries are every cell of a view."""
        for start, stop, every_cell in ((0, self.selected, False), (self.selected, len(self.weights_p), True)):
            for low in range(start, stop, longest):
                yield slice(low, min(low + longest, stop)), every_cell

    def runs(self, side: int, block: slice) -> Iterator[tuple[int, slice]]:
        """The parts of a block whose cells on one side are of one view: that view, and the places in the block."""
        start = 0
        for view, alike in groupby(self.views_2p[side][block]):
            part = slice(start, start + len(list(alike)))
            yield view, part
            start = part.stop


@lru_cache(maxsize=64)
def lay_out(
    directions: tuple[Direction, ...], kept: tuple[int, ...], cells: tuple[int, ...], device: torch.device
) -> SlotTable:
    """The table of some directions. It is kept, since making it anew would wait for the device at every step.

    Args:
        directions: which.
        kept: matches of each direction.
        cells: of each view.
        device: where the table's tensors are needed.
    """
    every_cell = [count == cells[direction.query] for direction, count in zip(directions, kept, strict=True)]
    ends = [(direction.query, direction.neighbour) for direction in directions]
    order = sorted(range(len(directions)), key=lambda k: (every_cell[k], ends[k]))
    direction_of_p = [k for k in order for _ in range(kept[k])]
    queries, neighbours = zip(*(ends[k] for k in direction_of_p), strict=True)
    means_kp = torch.zeros(len(directions), len(direction_of_p), dtype=torch.float64)
    for slot, k in enumerate(direction_of_p):
        means_kp[k, slot] = 1 / kept[k]
    weights_k = torch.tensor([direction.weight for direction in directions], dtype=torch.float64)
    return SlotTable(
        tuple(order),
        sum(count for count, has_all in zip(kept, every_cell, strict=True) if not has_all),
        (queries, neighbours),
        torch.tensor([[cells[view] for view in views_p] for views_p in (queries, neighbours)], device=device),
        (weights_k @ means_kp).to(device),
        means_kp.to(device),
        tuple(_every_cell_views(directions, every_cell, device)),
    )


def _every_cell_views(
    directions: Sequence[Direction], every_cell: Sequence[bool], device: torch.device
) -> Iterator[EveryCellView]:
    for view in sorted({direction.query for direction, has_all in zip(directions, every_cell, strict=True) if has_all}):
        asking = [k for k, direction in enumerate(directions) if every_cell[k] and direction.query == view]
        yield EveryCellView(view, torch.tensor(asking, device=device), sum(directions[k].weight for k in asking))
