"""Training past images that do not decode."""

import numpy as np

from vicregl_fast.data.batches import DecodedBatch
from vicregl_fast.data.engine import Engine, Undecodable


class LeavingOut:
    """An engine that leaves out what another cannot decode: in its place a sound image of the batch is there twice.

    So batches keep their size, which processes that train together must share. An image is reported once.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self._reported: set[int] = set()

    def decode(self, indices: np.ndarray) -> DecodedBatch:
        """As ``Engine.decode``.

        Raises:
            Undecodable: no image of the batch decodes.
        """
        sound = np.ones(len(indices), bool)
        while True:
            try:
                batch = self._engine.decode(indices[sound])
                break
            except Undecodable as error:
                broken = np.isin(indices, error.indices)
                if (broken | ~sound).all():
                    raise
                self._report(error)
                sound &= ~broken
        places = np.zeros(len(indices), np.int64)
        places[sound] = np.arange(int(sound.sum()))
        return batch.at(places) if not sound.all() else batch

    def _report(self, error: Undecodable) -> None:
        if not self._reported.issuperset(error.indices):
            print(f"note: {error}; it is left out")
            self._reported.update(error.indices)
