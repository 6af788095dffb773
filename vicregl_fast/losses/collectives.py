"""The global batch across ranks: what the loss sends between them, and how much.

Every rank holds the same number of samples. Without ``torch.distributed`` every function here is the identity. None of
them carries gradients, since the criteria form their own.

Shape letters: s slots, n samples of this rank, W ranks, k terms, o the slots that this rank forms.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch.distributed as dist
from torch import Tensor


@dataclass
class Traffic:
    """What this rank's collectives have moved.

    Attributes:
        moved: bytes; for each collective the larger of those sent and those received.
    """

    moved: int = 0


_traffic: Traffic | None = None


@contextmanager
def count_traffic() -> Iterator[Traffic]:
    """Counts the bytes that the collectives of the loss move within the ``with`` block."""
    global _traffic
    before, _traffic = _traffic, Traffic()
    try:
        yield _traffic
    finally:
        _traffic = before


def world_size() -> int:
    """W, the number of ranks that share the global batch; 1 without ``torch.distributed``."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def own_rows(count: int) -> slice:
    """Where this rank's ``count`` samples lie in the global batch."""
    start = dist.get_rank() * count if world_size() > 1 else 0
    return slice(start, start + count)


def shares(total: int) -> list[int]:
    """How many of ``total`` things each rank takes: as even as they go, the first ranks taking one more."""
    world = world_size()
    return [total // world + (rank < total % world) for rank in range(world)]


def own_slots(total: int) -> slice:
    """Which of ``total`` slots ``to_own_slots`` gives to this rank."""
    rank = dist.get_rank() if world_size() > 1 else 0
    dealt = shares(total)
    return slice(sum(dealt[:rank]), sum(dealt[: rank + 1]))


def gather_samples(z_sn: Tensor) -> Tensor:
    """The samples of all ranks, in the order of ranks: from [s, n, ...] to [s, W*n, ...]."""
    world = world_size()
    if world == 1:
        return z_sn
    gathered = z_sn.new_empty((world * len(z_sn), *z_sn.shape[1:]))
    dist.all_gather_into_tensor(gathered, z_sn.contiguous())
    _count(gathered.nbytes - z_sn.nbytes)
    return gathered.unflatten(0, (world, -1)).transpose(0, 1).flatten(1, 2)


def sum_over_ranks(x: Tensor) -> Tensor:
    """The sum of ``x`` over ranks, on every rank."""
    world = world_size()
    if world == 1:
        return x
    total = x.clone()
    dist.all_reduce(total)
    _count(2 * total.nbytes * (world - 1) // world)  # of a ring, which passes on the parts' sums, then the sums
    return total


def mean_over_ranks(values: Tensor) -> Tensor:
    """The mean of ``values`` over ranks, on every rank."""
    return sum_over_ranks(values) / world_size()


def to_own_slots(z_sn: Tensor) -> Tensor:
    """This rank's slots (``own_slots``) with the samples of all ranks: from [s, n, ...] to [o, W*n, ...]."""
    world = world_size()
    if world == 1:
        return z_sn
    dealt = shares(len(z_sn))
    mine = dealt[dist.get_rank()]
    received = z_sn.new_empty((world * mine, *z_sn.shape[1:]))
    dist.all_to_all_single(received, z_sn.contiguous(), [mine] * world, dealt)
    _count(max(received.nbytes - received[:mine].nbytes, z_sn.nbytes - z_sn[:mine].nbytes))
    return received.view(world, mine, *z_sn.shape[1:]).transpose(0, 1).flatten(1, 2)


def from_own_slots(z_sn: Tensor, slots: int) -> Tensor:
    """The inverse of ``to_own_slots``: from [o, W*n, ...] to [s, n, ...], with s = ``slots``."""
    world = world_size()
    if world == 1:
        return z_sn
    mine, samples = len(z_sn), z_sn.shape[1] // world
    received = z_sn.new_empty((slots, samples, *z_sn.shape[2:]))
    by_rank = z_sn.unflatten(1, (world, samples)).transpose(0, 1).contiguous()
    dist.all_to_all_single(received, by_rank.flatten(0, 1), shares(slots), [mine] * world)
    _count(max(received.nbytes - received[:mine].nbytes, by_rank.nbytes - by_rank[0].nbytes))
    return received


def over_own_slots(
    z_sn: Tensor, weights_ks: Tensor | None, form: Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor | None]]
) -> tuple[Tensor, Tensor | None]:
    """Lets each rank form some slots whole, with the samples of all ranks, and sends their gradients back.

    Args:
        z_sn: this rank's samples [s, n, ...].
        weights_ks: of every slot's terms in the sum that is differentiated; None for no gradient.
        form: gives, from samples [o, W*n, ...] and weights [k, o] of some slots, their terms [k, o], and the gradient
            of the weighted sum with respect to the samples (None without weights).

    Returns: this rank's shares of the terms [k, s], whose means over ranks are the terms, and the gradient with respect
        to its samples, times W.
    """
    slots, ranks = len(z_sn), world_size()
    mine = own_slots(slots)
    # Shares are averaged over ranks afterwards, and so are gradients: hence W.
    values_ko, gradient = form(to_own_slots(z_sn), None if weights_ks is None else ranks * weights_ks[:, mine])
    values_ks = z_sn.new_zeros(len(values_ko), slots)
    values_ks[:, mine] = ranks * values_ko
    return values_ks, None if gradient is None else from_own_slots(gradient, slots)


def _count(moved: int) -> None:
    if _traffic is not None:
        _traffic.moved += moved
