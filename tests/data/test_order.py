"""The order of samples is one for all ranks and resume points."""

import numpy as np
import pytest

from dataprep.errors import UserError
from vicregl_fast.data.order import GlobalBatches, validation_batches


def test_an_epoch_shows_every_sample_once_and_another_epoch_in_another_order() -> None:
    order = GlobalBatches(samples=60, batch_size=12, seed=3)
    epochs = [np.concatenate(list(order.epoch(epoch))) for epoch in (0, 1)]
    for shown in epochs:
        assert sorted(shown) == list(range(60))
    assert (epochs[0] != epochs[1]).any()
    assert (np.concatenate(list(GlobalBatches(60, 12, seed=4).epoch(0))) != epochs[0]).any()


@pytest.mark.parametrize("window", [None, 16])
@pytest.mark.parametrize("world", [2, 3, 4])
def test_ranks_together_take_the_batches_of_one_process(world: int, window: int | None) -> None:
    alone = list(GlobalBatches(50, 12, seed=1, window=window).epoch(2))
    ranks = [list(GlobalBatches(50, 12, 1, rank, world, window).epoch(2)) for rank in range(world)]
    assert len(alone) == 4
    for step, batch in enumerate(alone):
        np.testing.assert_array_equal(np.concatenate([rank[step] for rank in ranks]), batch)


@pytest.mark.parametrize("window", [None, 16])
def test_a_resumed_epoch_starts_at_its_batch(window: int | None) -> None:
    order = GlobalBatches(50, 12, seed=1, window=window)
    whole, rest = list(order.epoch(5)), list(order.epoch(5, start=3))
    assert len(rest) == 1
    np.testing.assert_array_equal(rest[0], whole[3])


@pytest.mark.parametrize(
    ("samples", "batch", "world", "words"),
    [(10, 12, 1, "10 images"), (50, 12, 5, "multiple of 5"), (50, 4, 4, "larger one")],
)
def test_what_cannot_be_shared_is_said(samples: int, batch: int, world: int, words: str) -> None:
    with pytest.raises(UserError, match=words):
        GlobalBatches(samples, batch, 0, 0, world)


@pytest.mark.parametrize(("samples", "batch", "world"), [(60, 32, 1), (11, 4, 2), (3, 16, 1), (12, 4, 2), (50, 16, 8)])
def test_validation_shows_every_image_once_in_batches_that_ranks_share(samples: int, batch: int, world: int) -> None:
    shown = [validation_batches(samples, batch, rank, world) for rank in range(world)]
    seen = np.concatenate([each for batches in shown for each in batches])
    assert len(set(seen.tolist())) == len(seen) == samples - samples % world
    sizes = [[len(each) for each in batches] for batches in shown]
    assert all(each == sizes[0] for each in sizes)
    assert max(sizes[0]) - min(sizes[0]) <= 1 and max(sizes[0]) * world <= batch


def test_validation_batches_mix_what_lies_together() -> None:
    """Of 100 images sorted by class, the first batch of 20 has some of all 5 classes."""
    first = validation_batches(100, 20)[0]
    assert set((first // 20).tolist()) == {0, 1, 2, 3, 4}
