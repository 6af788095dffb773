"""The order of samples: a pure function of (seed, epoch), cut into global batches first (design, section 3)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dataprep.errors import UserError
from vicregl_fast.philox import block_permutation, permutation

BLOCKS_A_WINDOW = 64
"""Places of the store that a window is read from: many, so that windows differ from epoch to epoch."""


@dataclass(frozen=True)
class GlobalBatches:
    """Which samples each rank takes at each step, the same whatever the number of ranks.

    Attributes:
        samples: images in the store; the rest that fills no global batch is left for another epoch's order.
        batch_size: of all ranks together.
        seed: of the run.
        rank, world: this process among how many.
        window: images that are shuffled together, some blocks of the store; None for all of them.

    Raises:
        UserError: fewer images than a batch, or a batch that the ranks cannot share evenly.
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
        return self.samples // self.batch_size

    def epoch(self, epoch: int, start: int = 0) -> Iterator[np.ndarray]:
        """This rank's sample indices, int64 [batch_size / world], for every step from ``start`` on."""
        order = self._order(epoch)
        share = self.batch_size // self.world
        for step in range(start, self.steps):
            first = step * self.batch_size + self.rank * share
            yield order[first : first + share]

    def _order(self, epoch: int) -> np.ndarray:
        if self.window is None:
            return permutation(self.seed, epoch, self.samples)
        return block_permutation(self.seed, epoch, self.samples, max(1, self.window // BLOCKS_A_WINDOW), self.window)


def validation_batches(samples: int, batch_size: int, rank: int = 0, world: int = 1) -> list[np.ndarray]:
    """This rank's sample indices of every validation batch: each image once, in one order that never changes.

    The order is drawn, since stores lie sorted by class, and a batch should hold all kinds. Batches are alike in size
    to one image, at most ``batch_size`` of all ranks together; only what ranks cannot share evenly, fewer images than
    there are ranks, is left out.
    """
    share = samples // world
    count = -(-samples // batch_size)
    order = permutation(0, 0, samples)
    return np.array_split(order[rank * share : (rank + 1) * share], count)
