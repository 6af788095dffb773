"""The images that views are made of: whole, decoded, and all in one array of bytes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from dataprep.manifest import UNLABELLED


@dataclass(frozen=True)
class DecodedBatch:
    """The b whole images of one batch, in one array of bytes.

    Attributes:
        indices: int64 [b], sample indices in the store.
        heights, widths: int64 [b], in pixels.
        labels: int64 [b], classes; ``UNLABELLED`` where an image has none.
        packed: uint8 [bytes], the pixels; image k takes height·width·3 bytes, row by row. Other bytes are ignored.
        offsets: int64 [b], where each image begins in ``packed``.
    """

    indices: np.ndarray
    heights: np.ndarray
    widths: np.ndarray
    labels: np.ndarray
    packed: Tensor
    offsets: np.ndarray

    def images(self) -> list[Tensor]:
        """Returns each image as a tensor uint8 [height, width, 3] that shares its memory with ``packed``."""
        return [
            self.packed[start : start + height * width * 3].view(height, width, 3)
            for start, height, width in zip(
                self.offsets.tolist(), self.heights.tolist(), self.widths.tolist(), strict=True
            )
        ]

    @classmethod
    def pack(cls, images: Sequence[np.ndarray], labels: Sequence[int] | None = None) -> "DecodedBatch":
        """Copies images uint8 [height, width, 3] into a batch, with indices from 0."""
        heights, widths = np.ascontiguousarray(np.array([image.shape[:2] for image in images], np.int64).T)
        sizes = heights * widths * 3
        return cls(
            np.arange(len(images)),
            heights,
            widths,
            marked_labels(None if labels is None else np.array(labels, np.int64), np.arange(len(images))),
            torch.from_numpy(np.concatenate([image.ravel() for image in images])),
            np.cumsum(sizes) - sizes,
        )

    def at(self, places: np.ndarray) -> "DecodedBatch":
        """Returns the batch of the images at these places, int64 [any length]; it shares the bytes."""
        rows = {name: getattr(self, name)[places] for name in ("indices", "heights", "widths", "labels", "offsets")}
        return replace(self, **rows)

    def to(self, device: torch.device) -> "DecodedBatch":
        """Returns the batch with its bytes on ``device``; the host does not wait for a copy from page-locked memory."""
        used = int((self.offsets + self.heights * self.widths * 3).max())
        return replace(self, packed=self.packed[:used].to(device, non_blocking=True))


def marked_labels(labels: np.ndarray | None, indices: np.ndarray) -> np.ndarray:
    """The labels of the samples ``indices``, int64 [b]; ``UNLABELLED`` for all where ``labels``, int64 [n], is None."""
    return np.full(len(indices), UNLABELLED) if labels is None else labels[indices]


def known_labels(labels: np.ndarray) -> np.ndarray | None:
    """Turns labels, int64 [n], back: None if any sample has none, that is a negative one."""
    return None if (labels < 0).any() else labels
