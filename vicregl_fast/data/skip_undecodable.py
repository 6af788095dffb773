"""An engine that goes on without the images that do not decode."""

import numpy as np

from dataprep.notes import note
from vicregl_fast.augment.decoded_batch import DecodedBatch
from vicregl_fast.data.engine import Engine
from vicregl_fast.data.store import Undecodable


class SkipUndecodable:
    """Wraps an engine, and puts the first sound image of the batch in the place of each that does not decode.

    In this way batches keep their size, which must be the same in all processes that train together. A broken image is
    reported once, and not tried again.

    Args:
        engine: decodes the images.

    Attributes:
        store: the engine's store.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self.store = engine.store
        self._broken: set[int] = set()

    def decode(self, indices: np.ndarray) -> DecodedBatch:
        """Decodes the samples ``indices``, int64 [b]. The ``indices`` of the batch are those that it really holds.

        Raises:
            Undecodable: no image of the batch decodes.
        """
        while True:
            sound = ~np.isin(indices, list(self._broken))
            if not sound.any():
                raise Undecodable(self.store.path, indices.tolist())
            try:
                batch = self._engine.decode(indices[sound])
                break
            except Undecodable as error:
                self._broken.update(error.indices)
                names = ", ".join(map(str, error.indices))
                note(f"image {names} of {self.store.path} does not decode and is left out", every_process=True)
        if sound.all():
            return batch
        places = np.zeros(len(indices), np.int64)
        places[sound] = np.arange(int(sound.sum()))
        return batch.at(places)
