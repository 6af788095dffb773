"""The feed of the engines that decode whole images: an engine and a view maker, from which loaders are made."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from vicregl_fast.data.engine import Engine
from vicregl_fast.data.loader import ViewLoader
from vicregl_fast.data.store import Store
from vicregl_fast.data.views import ViewMaker


@dataclass(frozen=True)
class EngineFeed:
    """A ``Feed`` whose images are decoded by an ``Engine``.

    Attributes:
        engine: decodes the images of its store.
        maker: makes views and matches of the decoded images.
    """

    engine: Engine
    maker: ViewMaker

    @property
    def store(self) -> Store:
        """The store whose images are fed."""
        return self.engine.store

    def loader(self, batches: Iterable[np.ndarray], epoch: int) -> ViewLoader:
        """View batches of these sample indices, int64 [b] for each step, with the random choices of ``epoch``."""
        return ViewLoader(self.engine, self.maker, batches, epoch)
