"""Opens the same images for several engines, to compare them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.data.config import EngineName
from vicregl_fast.data.engine_table import OpenedStore


def open_each(
    path: Path, engines: Sequence[EngineName], open_one: Callable[[EngineName], OpenedStore]
) -> dict[EngineName, OpenedStore]:
    """Opens the images for every engine. An engine that raises a ``UserError`` is left out with a note.

    That is an engine whose package is missing, or that cannot read these images.

    Args:
        path: where the images are, for the messages.
        engines: which engines to open them for.
        open_one: opens them for one engine.

    Raises:
        UserError: nothing is at ``path``, or none of the engines can read it.
    """
    if not path.exists():
        raise UserError(f"there is neither a store nor a folder of images at {path}")
    stores: dict[EngineName, OpenedStore] = {}
    for engine in engines:
        try:
            stores[engine] = open_one(engine)
        except UserError as error:
            note(f"{engine} is left out: {error}")
    if not stores:
        raise UserError(f"none of the engines {', '.join(engines)} can read {path}")
    return stores
