"""What the images of a store are called: their paths in the folder that it was made from.

They lie beside the store, or among its shards, one JSON string a line, so that any name of a file can be told. A store
can be read without them.
"""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from dataprep.errors import UserError
from dataprep.manifest import Manifest, read_manifest
from dataprep.notes import note
from dataprep.same_images import holds
from dataprep.sources import ImageSource, list_images

NAMES = "names.jsonl"


def names_path(store: Path) -> Path:
    """Path of a store's names: STORE.names.jsonl (``train.beton.names.jsonl``), or in a folder ``names.jsonl``."""
    return store / NAMES if store.is_dir() else store.with_name(f"{store.name}.{NAMES}")


def write_names(path: Path, manifest: Manifest, source: ImageSource) -> Manifest:
    """Writes what the images of a store of ``source`` are called; returns its manifest with the digest of that."""
    lines = [f"{json.dumps(source.files[place])}\n" for place in manifest.places(source.files)]
    content = "".join(lines).encode()
    path.write_bytes(content)
    return replace(manifest, names_sha256=hashlib.sha256(content).hexdigest())


def read_names(store: Path) -> tuple[str, ...]:
    """The paths of the images of a store, in their order.

    Where they are not beside it, as with a store of an earlier version, they are those of its folder, if that still has
    the store's images.

    Raises:
        UserError: nothing says what its images are called, or what says it is not of this store.
    """
    manifest = read_manifest(store)
    content = _beside(store, manifest)
    if content is None:
        return _names_of_source(store, manifest)
    return tuple(json.loads(line) for line in content.splitlines())


def check_names(store: Path) -> None:
    """Says where a store has lost the names of its images.

    Raises:
        UserError: those that are beside it are another store's.
    """
    manifest = read_manifest(store)
    if manifest.names_sha256 and _beside(store, manifest) is None:
        note(f"{names_path(store)} is gone: lists can choose images of {store} only while {manifest.source} is there")


def _beside(store: Path, manifest: Manifest) -> bytes | None:
    """The file of names; None where there is none of this store."""
    path = names_path(store)
    if not manifest.names_sha256:
        return None
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); make it readable") from error
    if hashlib.sha256(content).hexdigest() != manifest.names_sha256:
        raise UserError(f"{path} is not of the store {store}: bring back its own, or convert the images again")
    return content


def _names_of_source(store: Path, manifest: Manifest) -> tuple[str, ...]:
    if not manifest.source:
        raise UserError(f"nothing says what the images of {store} are called, since it was adopted")
    if not Path(manifest.source).is_dir():
        raise UserError(
            f"nothing says what the images of {store} are called: neither {names_path(store)} nor the folder that it "
            f"was made from, {manifest.source}, is there"
        )
    list_file = None if manifest.list_file is None else Path(manifest.list_file)
    source = list_images(Path(manifest.source), list_file, manifest.labels)
    if not holds(store, source):
        raise UserError(
            f"nothing says what the images of {store} are called, since {manifest.source} has others than it was made "
            "from: convert the images again"
        )
    return tuple(source.files[place] for place in manifest.places(source.files))
