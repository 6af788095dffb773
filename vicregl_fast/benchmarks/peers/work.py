"""What a peer is given to do: the same images, batches, views and cores as the engines of the same run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from vicregl_fast.augment.recipe import ViewRecipe

Call = Callable[[], int]
"""Passes all batches once through a peer, and returns the number of images that came out."""


@dataclass(frozen=True)
class PeerWork:
    """The work of one call.

    Attributes:
        jpegs: the bytes of every image, batch by batch, in memory.
        recipes: one for each view.
        grids: cells along a side of each view's feature map.
        workers: threads, or processes, that decode.
        device: where views are needed.
    """

    jpegs: Sequence[Sequence[bytes]]
    recipes: Sequence[ViewRecipe]
    grids: Sequence[int]
    workers: int
    device: torch.device

    @property
    def batch_size(self) -> int:
        """Images in a batch."""
        return len(self.jpegs[0])

    @property
    def images(self) -> list[bytes]:
        """The bytes of all images, one after the other."""
        return [jpeg for batch in self.jpegs for jpeg in batch]
