"""A store, an engine and a view maker, ready to be iterated over."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from vicregl_fast.data.engine import Engine
from vicregl_fast.data.loader import ViewLoader
from vicregl_fast.data.store import Store
from vicregl_fast.data.views import ViewMaker


@dataclass(frozen=True)
class EngineFeed:
    """An engine, which decodes the images of its store, and what makes views of them."""

    engine: Engine
    maker: ViewMaker

    @property
    def store(self) -> Store:
        """Whose images are fed."""
        return self.engine.store

    def loader(self, batches: Iterable[np.ndarray], epoch: int) -> ViewLoader:
        """View batches of these sample indices, with the random choices of ``epoch``."""
        return ViewLoader(self.engine, self.maker, batches, epoch)
