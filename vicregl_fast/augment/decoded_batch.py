"""The images that views are made of: whole, decoded, and packed one behind the other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class DecodedBatch:
    """Whole images of one batch, packed one behind the other.

    Attributes:
        indices: sample indices in the store, int64 [b].
        heights, widths: int64 [b], pixels.
        labels: int64 [b]; -1 where there is none.
        packed: uint8 [bytes]; image k is height·width·3 bytes in row order from ``offsets[k]`` on; perhaps longer.
        offsets: int64 [b].
    """

    indices: np.ndarray
    heights: np.ndarray
    widths: np.ndarray
    labels: np.ndarray
    packed: Tensor
    offsets: np.ndarray

    def images(self) -> list[Tensor]:
        """Each image as a uint8 view [H, W, 3] into the packed bytes."""
        return [
            self.packed[start : start + height * width * 3].view(height, width, 3)
            for start, height, width in zip(
                self.offsets.tolist(), self.heights.tolist(), self.widths.tolist(), strict=True
            )
        ]

    @classmethod
    def pack(cls, images: Sequence[np.ndarray], labels: Sequence[int] | None = None) -> "DecodedBatch":
        """A batch of images uint8 [H, W, 3], numbered from 0, with labels or without."""
        heights, widths = np.ascontiguousarray(np.array([image.shape[:2] for image in images], np.int64).T)
        sizes = heights * widths * 3
        return cls(
            np.arange(len(images)),
            heights,
            widths,
            np.full(len(images), -1, np.int64) if labels is None else np.array(labels, np.int64),
            torch.from_numpy(np.concatenate([image.ravel() for image in images])),
            np.cumsum(sizes) - sizes,
        )

    def at(self, places: np.ndarray) -> "DecodedBatch":
        """The batch of the images at these places, int64 [any], of the same bytes."""
        rows = {name: getattr(self, name)[places] for name in ("indices", "heights", "widths", "labels", "offsets")}
        return replace(self, **rows)

    def to(self, device: torch.device) -> "DecodedBatch":
        """The batch with its bytes on ``device``, copied without waiting where they are page-locked."""
        used = int((self.offsets + self.heights * self.widths * 3).max())
        return replace(self, packed=self.packed[:used].to(device, non_blocking=True))
