"""The views, labels and matches that one training step takes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from vicregl_fast.geometry.directions import Direction
from vicregl_fast.geometry.matches import Matches


@dataclass(frozen=True)
class ViewBatch:
    """What one training step needs. All tensors lie on the training device.

    Attributes:
        indices: sample indices in the store, int64 [b], on the CPU.
        views: one tensor [b, 3, S, S] for each view, normalised, channels_last, of the view maker's dtype.
        labels: int64 [b], or None where the store has none.
        matches: the location matches of every direction that the loss compares.
        centre_crops: undistorted centre crops of the images, laid out like views; None unless asked for.
    """

    indices: np.ndarray
    views: tuple[Tensor, ...]
    labels: Tensor | None
    matches: Mapping[Direction, Matches[Tensor]]
    centre_crops: Tensor | None = None
