"""What lies beside a store: what it was made from and how, and a digest that shows whether it is whole."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from dataprep.errors import UserError

FORMAT_VERSION = 1
JPEG_MODE, RAW_MODE = 0, 1
"""How an image is stored: FFCV's IMAGE_MODES, a Numba dictionary whose first reading compiles for a second."""


@dataclass(frozen=True)
class SkippedImage:
    """An image that was left out of the store."""

    path: str
    reason: str


@dataclass(frozen=True)
class StoreOptions:
    """How the images were converted; ``max_side`` in pixels, ``quality`` of re-encoded JPEGs."""

    max_side: int
    quality: int
    on_error: str


@dataclass(frozen=True)
class Manifest:
    """Record of one store; ``count`` images, of which ``originals`` keep the bytes of their source file."""

    kind: str
    count: int
    originals: int
    classes: tuple[str, ...] | None
    label_counts: tuple[int, ...] | None
    source: str
    list_file: str | None
    options: StoreOptions
    skipped: tuple[SkippedImage, ...]
    size_bytes: int
    sha256: str
    format_version: int = FORMAT_VERSION

    def check(self, store: Path, digest: bool = False) -> None:
        """Raises UserError if the store is not the one described: by its size, and by its digest if asked."""
        if not store.is_file():
            raise UserError(f"there is no store {store}; convert the images again")
        size = store.stat().st_size
        if size != self.size_bytes:
            raise UserError(
                f"the store {store} has {size} bytes where its manifest says {self.size_bytes}; "
                "convert the images again"
            )
        if digest and sha256_of(store) != self.sha256:
            raise UserError(f"the content of {store} is not what its manifest says; convert the images again")

    def write(self, path: Path) -> None:
        """Writes the record as JSON, complete or not at all."""
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            with partial.open("w", encoding="utf-8") as file:
                json.dump(asdict(self), file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def manifest_path(store: Path) -> Path:
    """STORE.json, for example ``train.beton.json``."""
    return store.with_name(store.name + ".json")


def read_manifest(store: Path) -> Manifest:
    """Reads the manifest beside a store.

    Raises:
        UserError: it is missing, is no manifest, or has another version's format.
    """
    path = manifest_path(store)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"the manifest {path} cannot be read ({error.strerror}); convert the images again") from error
    except ValueError as error:
        raise UserError(f"{path} is not a store's manifest; convert the images again") from error
    version = record.get("format_version") if isinstance(record, dict) else None
    if version != FORMAT_VERSION:
        raise UserError(
            f"the manifest {path} has format version {version} where this program reads {FORMAT_VERSION}; "
            "convert the images again"
        )
    try:
        return _from_record(record)
    except (KeyError, TypeError) as error:
        raise UserError(f"the manifest {path} is incomplete ({error}); convert the images again") from error


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_record(record: dict) -> Manifest:
    values = {field.name: record[field.name] for field in fields(Manifest)}
    for name in ("classes", "label_counts"):
        values[name] = None if values[name] is None else tuple(values[name])
    values["options"] = StoreOptions(**values["options"])
    values["skipped"] = tuple(SkippedImage(**image) for image in values["skipped"])
    return Manifest(**values)
