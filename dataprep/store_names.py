"""What the images of a store are called: their paths in the folder that it was made from.

They lie beside the store, or among its shards, one JSON string a line, so that any name of a file can be told. A store
can be read without them. Images of shards that another program wrote have their members' names.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dataprep.atomic import put_aside, write_text
from dataprep.errors import UserError
from dataprep.manifest import Manifest, read_manifest
from dataprep.notes import note
from dataprep.same_images import holds
from dataprep.shard_index import sample_key
from dataprep.sources import ImageSource, list_images

NAMES = "names.jsonl"
_AWAY = "its manifest away, and adopt it again (python -m dataprep adopt)"
_ANEW = "and its manifest, too, and adopt it again (python -m dataprep adopt)"


def names_path(store: Path) -> Path:
    """Path of a store's names: STORE.names.jsonl (``train.beton.names.jsonl``), or in a folder ``names.jsonl``."""
    return store / NAMES if store.is_dir() else store.with_name(f"{store.name}.{NAMES}")


def write_names(path: Path, manifest: Manifest, source: ImageSource) -> Manifest:
    """Writes what the images of a store of ``source`` are called; returns its manifest with the digest of that."""
    content = _content([source.files[place] for place in manifest.places(source.files)])
    path.write_bytes(content)
    return _with_names(manifest, content)


def adopt_names(store: Path, manifest: Manifest, members: Sequence[str] | None, lost_manifest: bool) -> Manifest:
    """Gives an adopted store its names; returns its manifest with their digest.

    Those that lie beside it are taken if it was ours and lost its manifest: they are as many as its images, and it is a
    ``.beton`` file or its shards' members are called as ours.

    Args:
        store: a ``.beton`` file, or a folder of shards.
        manifest: of the store, without names.
        members: what the shards' images are called there; None of a ``.beton`` file, which has no names.
        lost_manifest: whether no manifest lies beside the store; one that does not fit it may be of another.

    Raises:
        UserError: what lies beside it cannot be read, or the names cannot be written.
    """
    path = names_path(store)
    content = _read(path)
    if content is not None:
        names = _parsed(content)
        if names is None:
            note(f"{path} is of another program, so that lists cannot choose images of {store}: move it away, {_ANEW}")
            return manifest
        ours = members is None or list(members) == [f"{sample_key(number)}.jpg" for number in range(len(members))]
        if lost_manifest and ours and len(names) == manifest.count:
            note(f"{path} is taken to say what the images of {store} are called")
            return _with_names(manifest, content)
        if names != members:
            note(f"{path} is not known to be of the store {store} as it is, and is now {put_aside(path)}")
    if members is None:
        return manifest
    content = _content(members)
    write_text(path, content.decode())
    return _with_names(manifest, content)


def _with_names(manifest: Manifest, content: bytes) -> Manifest:
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
        then = (
            f"only while {manifest.source} is there"
            if manifest.source
            else f"only once it is adopted again: move {_AWAY}"
        )
        note(f"{names_path(store)} is gone: lists can choose images of {store} {then}")


def _beside(store: Path, manifest: Manifest) -> bytes | None:
    """The file of names; None where there is none of this store."""
    path = names_path(store)
    if not manifest.names_sha256 or (content := _read(path)) is None:
        return None
    if hashlib.sha256(content).hexdigest() != manifest.names_sha256:
        again = "convert the images again" if manifest.source else f"move it away, {_ANEW}"
        raise UserError(f"{path} is not of the store {store}: bring back its own, or {again}")
    return content


def _read(path: Path) -> bytes | None:
    """A file's bytes; None where it is missing."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); make it readable") from error


def _content(names: Sequence[str]) -> bytes:
    return "".join(f"{json.dumps(name)}\n" for name in names).encode()


def _parsed(content: bytes) -> tuple[str, ...] | None:
    """The names in a file's bytes; None if those are not what is written here."""
    try:
        names = tuple(json.loads(line) for line in content.splitlines())
    except (ValueError, RecursionError):
        return None
    return names if all(isinstance(name, str) for name in names) and len(set(names)) == len(names) else None


def _names_of_source(store: Path, manifest: Manifest) -> tuple[str, ...]:
    if not manifest.source:
        how = "a .beton file of another program has no names" if store.is_file() else f"move {_AWAY}"
        raise UserError(f"nothing says what the images of {store} are called: {how}")
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
