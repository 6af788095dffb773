"""The same images through several engines, as far as they can read them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.data.config import EngineName
from vicregl_fast.data.engine_table import OpenedStore


def open_each(
    path: Path, engines: Sequence[EngineName], open_one: Callable[[EngineName], OpenedStore]
) -> dict[EngineName, OpenedStore]:
    """What ``open_one`` opens for every engine; one whose package is missing, or that cannot read it, gets a note.

    Raises:
        UserError: nothing to read at ``path``, or none of the engines can.
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
