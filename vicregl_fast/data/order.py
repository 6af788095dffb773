"""The order of samples: a pure function of (seed, epoch).

The order is cut into global batches, and these into the ranks' shares. The number of ranks therefore does not change
which samples a step sees.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dataprep.errors import UserError
from vicregl_fast.philox import block_permutation, permutation

BLOCKS_A_WINDOW = 64
"""Blocks of neighbouring samples that make up a window: many, so that its samples differ from epoch to epoch."""


@dataclass(frozen=True)
class GlobalBatches:
    """Which samples a rank takes at each step. The global batches do not depend on the number of ranks.

    Attributes:
        samples: images in the store. An epoch leaves out those that fill no global batch at the end of its order.
        batch_size: size of a global batch.
        seed: of the run.
        rank, world: number of this process from 0, and how many processes there are.
        window: how many images are shuffled together; None for all of them.

    Raises:
        UserError: the store has fewer images than a batch, or the ranks cannot share a batch evenly with at least two
            images each.
    """

    samples: int
    batch_size: int
    seed: int
    rank: int = 0
    world: int = 1
    window: int | None = None

    def __post_init__(self) -> None:
        if self.batch_size % self.world:
            raise UserError(
                f"batch_size {self.batch_size} cannot be shared evenly by {self.world} processes; "
                f"choose a multiple of {self.world}"
            )
        if self.batch_size // self.world < 2:
            raise UserError(f"batch_size {self.batch_size} leaves under 2 images a process; choose a larger one")
        if self.samples < self.batch_size:
            raise UserError(
                f"the store has {self.samples} images, fewer than one batch of {self.batch_size}; "
                f"choose a --batch_size of at most {self.samples}"
            )

    @property
    def steps(self) -> int:
        """Global batches in an epoch."""
        return steps_an_epoch(self.samples, self.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[np.ndarray]:
        """This rank's sample indices, int64 [batch_size / world], for every step of an epoch from ``start`` on."""
        order = self._order(epoch)
        share = self.batch_size // self.world
        for step in range(start, self.steps):
            first = step * self.batch_size + self.rank * share
            yield order[first : first + share]

    def _order(self, epoch: int) -> np.ndarray:
        if self.window is None:
            return permutation(self.seed, epoch, self.samples)
        return block_permutation(self.seed, epoch, self.samples, max(1, self.window // BLOCKS_A_WINDOW), self.window)


def steps_an_epoch(samples: int, batch_size: int) -> int:
    """Global batches in an epoch of a store of ``samples`` images; what fills none is left out."""
    return samples // batch_size


def validation_batches(samples: int, batch_size: int, rank: int = 0, world: int = 1) -> list[np.ndarray]:
    """This rank's sample indices of every validation batch, int64 [b] each. The order is the same in every pass.

    The order is random, since stores are sorted by class and a batch should hold many classes. Each image comes once,
    but for the remainder of ``samples`` divided by ``world``, which is left out so that all ranks have equally many.

    Args:
        samples: images in the store.
        batch_size: the most images in a global batch; a rank's batches differ in size by at most one image.
        rank, world: number of this process from 0, and how many processes there are.
    """
    share = samples // world
    count = -(-samples // batch_size)
    order = permutation(0, 0, samples)
    return np.array_split(order[rank * share : (rank + 1) * share], count)
