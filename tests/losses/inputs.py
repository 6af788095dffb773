"""Random inputs of the loss, and their location matches by brute force."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tests.losses import plain
from vicregl_fast.geometry.directions import Direction
from vicregl_fast.geometry.matches import Matches
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.plan import DirectionPlan
from vicregl_fast.losses.vicregl import LossTerms, VICRegLLoss

Views = tuple[list[Tensor], list[Tensor], list[Tensor]]


def location_matches(plan: DirectionPlan, positions: Sequence[Tensor]) -> dict[Direction, Matches[Tensor]]:
    """Queries and neighbours of every direction, from cell positions [n, c, 2]."""
    return {
        direction: Matches(*plain.matches(positions[direction.query], positions[direction.neighbour], direction.gamma))
        for direction in plan.location
    }


def positions_of_grid(samples: int, grid: int, generator: torch.Generator) -> Tensor:
    """Cell centres of random boxes [n, c, 2], as (y, x)."""
    low = 100 * torch.rand(samples, 1, 2, generator=generator, dtype=torch.float64)
    side = 50 + 100 * torch.rand(samples, 1, 2, generator=generator, dtype=torch.float64)
    steps = (torch.arange(grid, dtype=torch.float64) + 0.5) / grid
    return low + side * torch.cartesian_prod(steps, steps)


def drawn(samples: int, grids: Sequence[int], d: int, big_d: int, seed: int) -> Views:
    """Embeddings, maps and positions of one view per grid, float64."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return 0.7 * torch.randn(*shape, generator=generator, dtype=torch.float64) + 0.3

    embeddings = [normal(samples, big_d) for _ in grids]
    maps = [normal(samples, grid * grid, d) for grid in grids]
    return embeddings, maps, [positions_of_grid(samples, grid, generator) for grid in grids]


def random_matches(
    direction: Direction, samples: int, cells: Sequence[int], generator: torch.Generator
) -> Matches[Tensor]:
    """Ascending query cells and any neighbours, int64 [n, kept] each, between views of so many ``cells``."""
    kept = min(direction.gamma or cells[direction.query], cells[direction.query])
    shuffled = torch.rand(samples, cells[direction.query], generator=generator).argsort(1)
    neighbours = torch.randint(cells[direction.neighbour], (samples, kept), generator=generator)
    return Matches(shuffled[:, :kept].sort(1).values, neighbours)


def with_gradients(
    config: LossConfig, embeddings: Sequence[Tensor], maps: Sequence[Tensor], positions: Sequence[Tensor]
) -> tuple[LossTerms, list[Tensor]]:
    loss = VICRegLLoss(config, len(positions))
    leaves = [tensor.clone().requires_grad_() for tensor in (*embeddings, *maps)]
    views = len(positions)
    matches = location_matches(loss.plan, positions)
    terms = loss(leaves[:views], leaves[views:], matches)
    terms.total.backward()
    assert all(map(torch.equal, leaves, (*embeddings, *maps))), "inputs stay as they were"
    return terms, [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]


def inputs_on(
    device: torch.device, dtype: torch.dtype, config: LossConfig, grids: tuple[int, ...]
) -> tuple[VICRegLLoss, list[Tensor], dict[Direction, Matches[Tensor]]]:
    """The loss, embeddings and maps that want gradients, and location matches."""
    embeddings, maps, _ = drawn(24, grids, d=16, big_d=40, seed=3)
    generator = torch.Generator().manual_seed(5)
    loss = VICRegLLoss(config, len(grids))
    cells = [grid**2 for grid in grids]
    matches = {
        direction: random_matches(direction, 24, cells, generator).map(lambda numbers: numbers.to(device))
        for direction in loss.plan.location
    }
    return loss, [tensor.to(device, dtype).requires_grad_() for tensor in (*embeddings, *maps)], matches


def loss_on(
    config: LossConfig, grids: tuple[int, ...], device: torch.device, dtype: torch.dtype
) -> tuple[LossTerms, list[Tensor]]:
    """The loss of ``inputs_on``, and its gradients in float64 on the CPU."""
    loss, leaves, matches = inputs_on(device, dtype, config, grids)
    terms = loss(leaves[: len(grids)], leaves[len(grids) :], matches)
    terms.total.backward()
    return terms, [leaf.grad.double().cpu() for leaf in leaves if leaf.grad is not None]
