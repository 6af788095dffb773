"""The VICRegL loss plainly from the paper's equations: an oracle that shares nothing with the package."""

from collections.abc import Callable

import torch
from torch import Tensor

Compare = Callable[[Tensor, Tensor], Tensor]


def s(a_nd: Tensor, b_nd: Tensor) -> Tensor:
    return ((a_nd - b_nd) ** 2).mean()


def v(z_nd: Tensor) -> Tensor:
    return torch.clamp(1 - torch.sqrt(z_nd.var(dim=0, unbiased=True) + 1e-4), min=0).mean()


def c(z_nd: Tensor) -> Tensor:
    n, d = z_nd.shape
    x = z_nd - z_nd.mean(dim=0)
    covariances = (x.T @ x / (n - 1)) ** 2
    return (covariances.sum() - covariances.diagonal().sum()) / d


def global_loss(
    embeddings: list[Tensor],
    criterion: str = "vicreg",
    temperature: float = 0.1,
    coefficients: tuple[float, float, float] = (25.0, 25.0, 1.0),
) -> Tensor:
    pairs = [(i, j) for i in (0, 1) for j in range(len(embeddings)) if j != i]
    if criterion == "simclr":
        return torch.stack([nt_xent(embeddings[i], embeddings[j], temperature) for i, j in pairs]).mean()
    attraction = torch.stack([s(embeddings[i], embeddings[j]) for i, j in pairs]).mean()
    spread = torch.stack([coefficients[1] * v(z) + coefficients[2] * c(z) for z in embeddings]).mean()
    return coefficients[0] * attraction + spread


def nearest(from_cd: Tensor, to_cd: Tensor) -> tuple[list[float], list[int]]:
    """Distance to, and index of, every cell's nearest neighbour; the lower index of equally near ones."""
    distances, indices = [], []
    for p in range(len(from_cd)):
        squares = [float(((from_cd[p] - to_cd[q]) ** 2).sum()) for q in range(len(to_cd))]
        distances.append(min(squares))
        indices.append(squares.index(min(squares)))
    return distances, indices


def matches(from_ncd: Tensor, to_ncd: Tensor, gamma: int | None) -> tuple[Tensor, Tensor]:
    """The gamma closest pairs per sample in the order of the query cells: queries and neighbours [n, g]."""
    queries, neighbours = [], []
    for from_cd, to_cd in zip(from_ncd.detach(), to_ncd.detach(), strict=True):
        distances, indices = nearest(from_cd, to_cd)
        ranked = sorted((distance, p) for p, distance in enumerate(distances))
        closest = sorted(p for _, p in ranked[:gamma])
        queries.append(closest)
        neighbours.append([indices[p] for p in closest])
    return torch.tensor(queries), torch.tensor(neighbours)


def vicreg(a: Tensor, b: Tensor) -> Tensor:
    return 25 * s(a, b) + 25 * (v(a) + v(b)) / 2 + (c(a) + c(b)) / 2


def slots_loss(a_ncd: Tensor, b_ncd: Tensor, queries: Tensor, neighbours: Tensor, compare: Compare) -> Tensor:
    samples = range(len(a_ncd))
    total = a_ncd.new_zeros(())
    for t in range(queries.shape[1]):
        a = torch.stack([a_ncd[n, queries[n, t]] for n in samples])
        b = torch.stack([b_ncd[n, neighbours[n, t]] for n in samples])
        total = total + compare(a, b)
    return total / queries.shape[1]


def local_loss(
    maps: list[Tensor],
    positions: list[Tensor],
    preset: str,
    gammas: tuple[int, int],
    by: tuple[str, ...] = ("location", "feature"),
    compare: Compare = vicreg,
) -> Tensor:
    pairs = [(i, j) for i in (0, 1) for j in range(len(maps)) if j != i]
    total = maps[0].new_zeros(())
    for i, j in pairs:
        for a, b, first in ((i, j, True), (j, i, False)):
            takes_large = a < 2 if preset == "paper" else first
            gamma = gammas[0] if takes_large else gammas[1]
            found = {
                "location": matches(positions[a], positions[b], gamma),
                "feature": matches(maps[a], maps[b], gamma if preset == "paper" else None),
            }
            for kind in by:
                total = total + slots_loss(maps[a], maps[b], *found[kind], compare) / 2
    return total / len(pairs)


def nt_xent(a_nd: Tensor, b_nd: Tensor, temperature: float) -> Tensor:
    """SimCLR's loss of n pairs (Chen et al. 2020, equation 1), the mean over the 2n vectors."""
    n = len(a_nd)
    u = torch.cat([a_nd / a_nd.norm(dim=1, keepdim=True), b_nd / b_nd.norm(dim=1, keepdim=True)])
    losses = []
    for k in range(2 * n):
        others = [m for m in range(2 * n) if m != k]
        similarities = torch.stack([u[k] @ u[m] / temperature for m in others])
        losses.append(similarities.logsumexp(0) - u[k] @ u[(k + n) % (2 * n)] / temperature)
    return torch.stack(losses).mean()
