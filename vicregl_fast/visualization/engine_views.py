"""Makes views of the same samples with every engine, from the same stored bytes, to compare the engines by eye."""

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
    """Draws a contact sheet: some images with their crops, and their views from each engine.

    An engine whose package is missing, or that cannot read the store, is left out with a note.

    Args:
        path: a store, or a folder of images, which is converted to a temporary store.
        views: which views are made of every image.
        engines: the engines to compare.
        count: number of samples.
        seed: decides which samples, and which crops of them.

    Raises:
        UserError: there is nothing to read at ``path``, or none of the engines can read it.
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
        source = Source(path, Path(cache))
        opened = open_each(path, engines, partial(open_stored_bytes, source))
        images = open_stored(source.store())
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
    """Opens a store for an engine.

    The torchvision engine, which otherwise reads a folder's files, is given the JPEGs of the store, so that all engines
    see the same pixels.

    Raises:
        UserError: the source cannot be opened (``open_store``), or torchvision is to read a store that holds other
            images than JPEGs.
    """
    if engine != "torchvision":
        return open_store(source, engine)
    return OpenedStore("torchvision", open_jpegs(source.store()))
