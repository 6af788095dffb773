"""Random crops and centre crops of labelled images, by the engines of training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vicregl_fast.augment.backends import choose_backend
from vicregl_fast.augment.recipe import ViewRecipe
from vicregl_fast.data.engine import Feed
from vicregl_fast.data.engine_table import FeedOptions, OpenedStore, open_feed
from vicregl_fast.data.views import ViewMaker
from vicregl_fast.evaluation.loading import chunks
from vicregl_fast.geometry.crop_rule import CropRule

SCALE = (0.08, 1.0)
"""The share of an image's area that a random crop shows, as in supervised training on ImageNet."""


@dataclass(frozen=True)
class RandomCropFeed:
    """Random crops of images, flipped half of the time.

    Attributes:
        feed: makes them.
        batch_size: the most in a batch.
    """

    feed: Feed
    batch_size: int

    def batches(self, order: np.ndarray, epoch: int) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Sample indices int64 [b] with their crops [b, 3, S, S], in the order int64 [n]; each epoch has others.

        Raises:
            UserError: an image does not decode.
        """
        with self.feed.loader(_cut(order, self.batch_size), epoch) as loader:
            for batch in loader:
                yield batch.indices, batch.views[0]


@dataclass(frozen=True)
class CentreCropFeed:
    """Centre crops of images, of 224 pixels where the short side has 256.

    Attributes:
        feed: makes them.
        batch_size: the most in a batch.
    """

    feed: Feed
    batch_size: int

    def batches(self, order: np.ndarray) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Sample indices int64 [b] with their crops [b, 3, S, S], in the order int64 [n].

        Raises:
            UserError: an image does not decode.
        """
        with self.feed.loader(_cut(order, self.batch_size), 0) as loader:
            for batch in loader:
                assert batch.centre_crops is not None
                yield batch.indices, batch.centre_crops


@dataclass(frozen=True)
class CropFeeds:
    """Makes feeds of square crops, normalised float32 [b, 3, S, S].

    Attributes:
        size: side S of the crops in pixels.
        batch_size: the most in a batch.
        workers: threads or processes that decode.
        device: where the crops are needed.
    """

    size: int
    batch_size: int
    workers: int
    device: torch.device

    def random(self, opened: OpenedStore, seed: int) -> RandomCropFeed:
        """A feed of random crops, drawn from ``seed``, of a store's images."""
        return RandomCropFeed(self._open(opened, seed, recipes=(self._undistorted,), grids=(1,)), self.batch_size)

    def centre(self, opened: OpenedStore) -> CentreCropFeed:
        """A feed of centre crops of a store's images."""
        return CentreCropFeed(self._open(opened, 0, recipes=(), grids=(), centre=self._undistorted), self.batch_size)

    @property
    def _undistorted(self) -> ViewRecipe:
        return ViewRecipe(self.size, CropRule(SCALE), 0.0, 0.0, jitter_probability=0.0, grey_probability=0.0)

    def _open(self, opened: OpenedStore, seed: int, **crops: Any) -> Feed:
        backend = choose_backend("auto", self.device)
        maker = ViewMaker(
            directions=(),
            mirror_flips=True,
            seed=seed,
            device=self.device,
            backend=backend,
            threads=max(1, self.workers),
            **crops,
        )
        return open_feed(opened, maker, FeedOptions(min(self.batch_size, len(opened.store)), self.workers))


def _cut(order: np.ndarray, size: int) -> Sequence[np.ndarray]:
    return [np.array(part, np.int64) for part in chunks(order.tolist(), size)]
