"""What the images of a store are called: their paths in the folder that it was made from.

They lie beside the store, or among its shards, one JSON string a line, so that any name of a file can be told.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from dataprep.errors import UserError
from dataprep.manifest import Manifest, read_manifest
from dataprep.sources import list_images

NAMES = "names.jsonl"


def names_path(store: Path) -> Path:
    """Path of a store's names: STORE.names.jsonl (``train.beton.names.jsonl``), or in a folder ``names.jsonl``."""
    return store / NAMES if store.is_dir() else store.with_name(f"{store.name}.{NAMES}")


def names_text(names: Sequence[str]) -> str:
    """What such a file holds."""
    return "".join(f"{json.dumps(name)}\n" for name in names)


def read_names(store: Path) -> tuple[str, ...]:
    """The paths of the images of a store, in their order.

    Where they are not beside it, as with a store of an earlier version, they are those of its folder, if that is there.

    Raises:
        UserError: nothing says what its images are called, or what says it is not of this store.
    """
    manifest, path = read_manifest(store), names_path(store)
    try:
        content = path.read_bytes()
    except OSError:
        return _names_of_source(store, manifest)
    if hashlib.sha256(content).hexdigest() != _digest(manifest):
        raise UserError(f"{path} is not of the store {store}: bring back its own, or convert the images again")
    return tuple(json.loads(line) for line in content.splitlines())


def _digest(manifest: Manifest) -> str:
    return next((file.sha256 for file in manifest.files if file.name == NAMES), manifest.names_sha256)


def _names_of_source(store: Path, manifest: Manifest) -> tuple[str, ...]:
    if not manifest.source:
        raise UserError(f"nothing says what the images of {store} are called, since it was adopted")
    if not Path(manifest.source).is_dir():
        raise UserError(
            f"nothing says what the images of {store} are called: neither {names_path(store)} nor the folder that it "
            f"was made from, {manifest.source}, is there"
        )
    left_out = {image.path for image in manifest.skipped}
    listed = list_images(
        Path(manifest.source), None if manifest.list_file is None else Path(manifest.list_file), manifest.labels
    )
    names = tuple(file for file in listed.files if file not in left_out)
    if len(names) != manifest.count:
        raise UserError(
            f"{manifest.source} has {len(names)} images where the store {store} has {manifest.count}, so that nothing "
            "says what these are called: convert the images again"
        )
    return names
