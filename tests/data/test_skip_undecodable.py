"""Images that do not decode are left out of their batches, whichever engine decodes."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vicregl_fast.augment.decoded_batch import DecodedBatch
from vicregl_fast.data.skip_undecodable import SkipUndecodable
from vicregl_fast.data.store import Undecodable

IMAGES = [np.full((2 + k, 3, 3), k, np.uint8) for k in range(10)]


class Flawed:
    """Samples 3 and 7 do not decode, and only the first of them in a batch is noticed."""

    store = SimpleNamespace(path=Path("some.beton"))
    calls = 0

    def decode(self, indices: np.ndarray) -> DecodedBatch:
        self.calls += 1
        for index in indices.tolist():
            if index in (3, 7):
                raise Undecodable(Path("some.beton"), [index])
        batch = DecodedBatch.pack([IMAGES[index] for index in indices.tolist()], indices.tolist())
        return DecodedBatch(indices, batch.heights, batch.widths, batch.labels, batch.packed, batch.offsets)


def test_a_sound_image_of_the_batch_takes_the_place(capsys: pytest.CaptureFixture[str]) -> None:
    flawed = Flawed()
    engine = SkipUndecodable(flawed)
    for _ in range(2):
        batch = engine.decode(np.array([3, 5, 7, 9]))
        assert batch.indices.tolist() == batch.labels.tolist() == [5, 5, 5, 9]
        for placed in (batch, batch.to(torch.device("cpu"))):
            assert all(
                (image.numpy() == IMAGES[k]).all() for image, k in zip(placed.images(), [5, 5, 5, 9], strict=True)
            )
    assert engine.decode(np.array([1, 2])).indices.tolist() == [1, 2]
    assert flawed.calls == 3 + 1 + 1, "what is known to be broken is not tried again"
    said = capsys.readouterr().err
    assert said.count("image 3 of some.beton does not decode") == said.count("image 7 of") == 1


def test_a_batch_without_a_sound_image_stops() -> None:
    with pytest.raises(Undecodable, match="image 3, 7 of some"):
        SkipUndecodable(Flawed()).decode(np.array([3, 7]))
