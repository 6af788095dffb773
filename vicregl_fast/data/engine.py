"""What the loader asks of an engine."""

from typing import Protocol

import numpy as np

from vicregl_fast.data.batches import DecodedBatch


class Engine(Protocol):
    """Turns sample indices, int64 [b], into whole decoded images, whose memory it may use again for the next batch."""

    def decode(self, indices: np.ndarray) -> DecodedBatch: ...
