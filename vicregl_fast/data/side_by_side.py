"""The same images through several engines, as far as they can read them."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from dataprep.errors import UserError
from vicregl_fast.data.engine import EngineName, Store


def open_each(path: Path, engines: Sequence[EngineName], open_one: Callable[[EngineName], Store]) -> dict[str, Store]:
    """What ``open_one`` opens for every engine; one whose package is missing, or that cannot read it, gets a note.

    Raises:
        UserError: nothing to read at ``path``, or none of the engines can.
    """
    if not path.exists():
        raise UserError(f"there is neither a store nor a folder of images at {path}")
    stores: dict[str, Store] = {}
    for engine in engines:
        try:
            stores[engine] = open_one(engine)
        except UserError as error:
            print(f"note: {engine} is left out: {error}", file=sys.stderr)
    if not stores:
        raise UserError(f"none of the engines {', '.join(engines)} can read {path}")
    return stores
