"""Random crops and centre crops of labelled images, by the engines of training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dataprep.labels import AUTO
from vicregl_fast.augment.backends import choose_backend
from vicregl_fast.augment.recipe import ViewRecipe
from vicregl_fast.data.engine import Feed
from vicregl_fast.data.engine_table import FeedOptions, OpenedStore, open_feed, open_store
from vicregl_fast.data.source import Source, is_store
from vicregl_fast.data.store import Store
from vicregl_fast.data.views import ViewMaker
from vicregl_fast.evaluation.loading import chunks
from vicregl_fast.geometry.crop_rule import CropRule

SCALE = (0.08, 1.0)
"""The share of an image's area that a random crop shows, as in supervised training on ImageNet."""


def open_labelled(path: Path, list_file: Path | None, labels: str = AUTO) -> OpenedStore:
    """Opens a store, or a folder of images, which is read as it is.

    Raises:
        UserError: nothing is there, or it cannot be read.
    """
    source = Source(path, path.parent, list_file, labels)
    return open_store(source, "auto" if is_store(path) else "torchvision")


@dataclass(frozen=True)
class Crops:
    """Square crops of a store's images.

    Attributes:
        store: the images.
        random: feeds random crops, flipped half of the time.
        centre: feeds centre crops, of 224 pixels where the short side has 256.
    """

    store: Store
    random: Feed
    centre: Feed

    @classmethod
    def of(
        cls, opened: OpenedStore, size: int, seed: int, batch_size: int, workers: int, device: torch.device
    ) -> "Crops":
        """Crops of side ``size`` in pixels, normalised float32 on ``device``; the random ones follow from ``seed``."""
        whole = ViewRecipe(size, CropRule(SCALE), 0.0, 0.0, jitter_probability=0.0, grey_probability=0.0)

        def feed(centre: bool) -> Feed:
            maker = ViewMaker(
                recipes=(whole,),
                grids=(1,),
                directions=(),
                mirror_flips=True,
                seed=seed,
                device=device,
                backend=choose_backend("auto", device),
                threads=max(1, workers),
                with_centre_crops=centre,
            )
            return open_feed(opened, maker, FeedOptions(min(batch_size, len(opened.store)), workers))

        return cls(opened.store, feed(False), feed(True))

    def random_batches(self, order: np.ndarray, batch_size: int, epoch: int) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Sample indices int64 [b] with their random crops [b, 3, S, S], in the order int64 [n]; each epoch has others.

        Raises:
            UserError: an image does not decode.
        """
        with self.random.loader(_cut(order, batch_size), epoch) as loader:
            for batch in loader:
                yield batch.indices, batch.views[0]

    def centre_batches(self, order: np.ndarray, batch_size: int) -> Iterator[Tensor]:
        """Centre crops [b, 3, S, S] in the order int64 [n].

        Raises:
            UserError: an image does not decode.
        """
        with self.centre.loader(_cut(order, batch_size), 0) as loader:
            for batch in loader:
                assert batch.centre_crops is not None
                yield batch.centre_crops


def _cut(order: np.ndarray, size: int) -> Sequence[np.ndarray]:
    return [np.array(part, np.int64) for part in chunks(order.tolist(), size)]
