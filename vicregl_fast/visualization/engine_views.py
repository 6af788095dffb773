"""The same samples through every engine, from the same stored bytes."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.figure import Figure

from vicregl_fast.augment.backends import choose_backend
from vicregl_fast.augment.normalisation import levels_of
from vicregl_fast.augment.recipe import ViewsConfig, view_recipes
from vicregl_fast.data.config import EngineName
from vicregl_fast.data.engine_table import FeedOptions, OpenedStore, open_feed, open_store
from vicregl_fast.data.side_by_side import open_each
from vicregl_fast.data.source import Source
from vicregl_fast.data.stored_images import open_jpegs, open_stored
from vicregl_fast.data.views import ViewMaker
from vicregl_fast.devices import choose_device
from vicregl_fast.philox import permutation
from vicregl_fast.visualization.view_sheet import draw_view_sheet


def draw_engine_views(path: Path, views: ViewsConfig, engines: Sequence[EngineName], count: int, seed: int) -> Figure:
    """A contact sheet of ``count`` samples of a store, or of a folder of images, which is converted for it.

    Engines whose package is missing, or that cannot read the store, are left out with a note.

    Raises:
        UserError: nothing to read at ``path``, or no engine that reads it.
    """
    device = choose_device()
    recipes = view_recipes(views)
    maker = ViewMaker(
        recipes=recipes,
        grids=[1] * len(recipes),
        directions=(),
        mirror_flips=True,
        seed=seed,
        device=device,
        backend=choose_backend(views.backend, device),
    )
    with TemporaryDirectory(prefix="views-") as cache:
        opened = open_each(path, engines, partial(open_stored_bytes, Source(path, Path(cache))))
        images = open_stored(next(iter(opened.values())).store.path)
        indices = np.sort(permutation(seed, 0, len(images))[:count])
        pictures: dict[str, list[np.ndarray]] = {}
        for engine, store in opened.items():
            feed = open_feed(store, maker, FeedOptions(count, workers=1))
            with feed.loader([indices], epoch=0) as loader:
                (batch,) = loader
                pictures[engine] = [levels_of(view) for view in batch.views]
        shown = [np.asarray(images.open(index)) for index in indices.tolist()]
        drawn = maker.draw(indices, images.heights[indices], images.widths[indices], epoch=0)
        return draw_view_sheet(shown, [each.boxes for each in drawn], pictures)


def open_stored_bytes(source: Source, engine: EngineName) -> OpenedStore:
    """A store for an engine; for torchvision, too, the stored bytes, so that all see the same pixels.

    Raises:
        UserError: what ``open_store`` raises, or what is stored are no JPEGs.
    """
    if engine != "torchvision":
        return open_store(source, engine)
    return OpenedStore("torchvision", open_jpegs(open_store(source).store.path))
