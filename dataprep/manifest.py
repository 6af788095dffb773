"""What lies beside a store: what it was made from and how, and a digest that shows whether it is whole."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import MISSING, Field, asdict, dataclass, fields
from pathlib import Path

from dataprep.atomic import write_text
from dataprep.errors import OnError, UserError

FORMAT_VERSION = 1
JPEG_MODE, RAW_MODE = 0, 1
"""How an image is stored: FFCV's IMAGE_MODES, a Numba dictionary whose first reading compiles for a second."""


@dataclass(frozen=True)
class SkippedImage:
    """An image that was left out of the store."""

    path: str
    reason: str


@dataclass(frozen=True)
class StoreFile:
    """One file of a store that is a folder."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class StoreOptions:
    """How the images were converted.

    ``max_side`` in pixels, ``quality`` of re-encoded JPEGs; ``raw_share`` of the images kept as pixels: 0 in mode
    "jpg", 1 in "raw", and between in "mixed".
    """

    max_side: int
    quality: int
    on_error: OnError
    mode: str = "jpg"
    raw_share: float = 0.0


@dataclass(frozen=True)
class Manifest:
    """Record of one store.

    ``count`` images, of which ``originals`` keep the bytes of their source file and ``raw`` are stored as pixels.
    Kind "ffcv" is one file, whose size and digest these are. Kind "webdataset" is a folder of ``files``: its size is
    that of all together, and its digest that of their list as `sha256sum` prints it in the order of their names.
    """

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
    raw: int = 0
    files: tuple[StoreFile, ...] = ()
    format_version: int = FORMAT_VERSION

    def check(self, store: Path, digest: bool = False) -> None:
        """Raises UserError if the store is not the one described: by its sizes, and by its digests if asked."""
        if not self.files:
            _check_file(store, self.size_bytes, self.sha256 if digest else None)
        for file in self.files:
            _check_file(store / file.name, file.size_bytes, file.sha256 if digest else None)

    def write(self, path: Path) -> None:
        """Writes the record as JSON, complete or not at all."""
        write_text(path, json.dumps(asdict(self), indent=1))


def manifest_path(store: Path) -> Path:
    """STORE.json, for example ``train.beton.json``; of a store that is a folder, ``manifest.json`` in it."""
    return store / "manifest.json" if store.is_dir() else store.with_name(store.name + ".json")


def read_manifest(store: Path) -> Manifest:
    """Reads the manifest of a store.

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


def digest_of(files: Sequence[StoreFile]) -> str:
    """The digest of a store of several files: that of their digests and names."""
    lines = "".join(f"{file.sha256}  {file.name}\n" for file in sorted(files, key=lambda file: file.name))
    return hashlib.sha256(lines.encode()).hexdigest()


def _check_file(path: Path, size_bytes: int, sha256: str | None) -> None:
    if not path.is_file():
        raise UserError(f"{path} is missing; convert the images again")
    size = path.stat().st_size
    if size != size_bytes:
        raise UserError(
            f"the store {path} has {size} bytes where its manifest says {size_bytes}; convert the images again"
        )
    if sha256 is not None and sha256_of(path) != sha256:
        raise UserError(f"the content of {path} is not what its manifest says; convert the images again")


def _from_record(record: dict) -> Manifest:
    """Fields that have defaults were added later: a store without them is as they say."""
    values = {field.name: record[field.name] for field in fields(Manifest) if _required(field) or field.name in record}
    for name in ("classes", "label_counts"):
        values[name] = None if values[name] is None else tuple(values[name])
    values["options"] = StoreOptions(**values["options"])
    values["skipped"] = tuple(SkippedImage(**image) for image in values["skipped"])
    values["files"] = tuple(StoreFile(**file) for file in values.get("files", ()))
    return Manifest(**values)


def _required(field: Field) -> bool:
    return field.default is MISSING
