"""What the loader asks of an engine."""

from typing import Protocol

import numpy as np

from vicregl_fast.data.batches import DecodedBatch

BATCHES_HELD = 2
"""Batches that an engine keeps whole: the loader copies one to the device while the next is decoded."""


class Engine(Protocol):
    """Turns sample indices into whole decoded images."""

    def decode(self, indices: np.ndarray) -> DecodedBatch:
        """The images of these samples, int64 [b].

        The engine may use a batch's memory again from the ``BATCHES_HELD``-th call after it on.

        Raises:
            UserError: an image does not decode.
        """
        ...
