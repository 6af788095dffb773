"""What a training step is fed with."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from vicregl_fast.geometry.directions import Direction
from vicregl_fast.geometry.matches import Matches


@dataclass(frozen=True)
class ViewBatch:
    """What one training step needs, on the training device.

    Attributes:
        indices: sample indices, int64 [b].
        views: one tensor [b, 3, S, S] a view, normalised, channels_last.
        labels: int64 [b], or None where the store has none.
        matches: the location matches of every direction that the loss compares.
        centre_crops: of the images, undistorted, [b, 3, S, S]; None unless asked for.
    """

    indices: np.ndarray
    views: tuple[Tensor, ...]
    labels: Tensor | None
    matches: Mapping[Direction, Matches[Tensor]]
    centre_crops: Tensor | None = None
