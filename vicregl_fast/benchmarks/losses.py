"""The loss alone, on embeddings and maps of the sizes that training has."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.timing import time_calls
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.directions import Direction
from vicregl_fast.losses.vicregl import VICRegLLoss


@dataclass(frozen=True)
class LossSizes:
    """Cells of each view's map, and the widths of the two heads."""

    batch_size: int
    cells: tuple[int, ...]
    expander: int
    projector: int


def bench_loss(device: torch.device, sizes: LossSizes, repeats: int) -> Iterator[Measurement]:
    """Forward and backward of the global (alpha 1) and the local criterion (alpha 0), in seconds."""
    for name, alpha in (("global", 1.0), ("local", 0.0)):
        seconds = time_calls(LossCall(sizes, LossConfig(alpha=alpha), device), device, repeats)
        yield Measurement.of(f"loss.{name}", seconds, "s")


class LossCall:
    """One forward and backward on random embeddings, maps and location matches."""

    def __init__(self, sizes: LossSizes, config: LossConfig, device: torch.device) -> None:
        generator = torch.Generator().manual_seed(0)
        self.criterion = VICRegLLoss(config, len(sizes.cells))
        n, widths = sizes.batch_size, (sizes.expander, sizes.projector)
        self.embeddings = [
            torch.randn(n, widths[0], generator=generator).to(device).requires_grad_() for _ in sizes.cells
        ]
        self.maps = [
            torch.randn(n, cells, widths[1], generator=generator).to(device).requires_grad_() for cells in sizes.cells
        ]
        self.matches = {
            direction: random_matches(direction, n, sizes.cells, generator, device)
            for direction in self.criterion.plan.location
        }

    def __call__(self) -> None:
        for tensor in (*self.embeddings, *self.maps):
            tensor.grad = None
        self.criterion(self.embeddings, self.maps, self.matches).total.backward()


def random_matches(
    direction: Direction, batch_size: int, cells: Sequence[int], generator: torch.Generator, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Ascending query cells and any neighbours, int64 [batch_size, kept] each, between views of so many ``cells``."""
    query_cells, neighbour_cells = cells[direction.query], cells[direction.neighbour]
    kept = query_cells if direction.gamma is None else min(direction.gamma, query_cells)
    shuffled = torch.rand(batch_size, query_cells, generator=generator).argsort(1)
    neighbours = torch.randint(neighbour_cells, (batch_size, kept), generator=generator)
    return shuffled[:, :kept].sort(1).values.to(device), neighbours.to(device)
