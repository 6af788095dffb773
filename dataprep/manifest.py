"""The manifest beside a store: what the store was made from and how, and a digest to detect damage."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import MISSING, Field, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dataprep.atomic import write_text
from dataprep.errors import OnError, UserError
from dataprep.formats import MAX_PIXELS
from dataprep.value_range import FULL, ValueRange

FORMAT_VERSION = 1
UNLABELLED = -1
"""The label of an image that has none."""
JPEG_MODE, RAW_MODE = 0, 1
"""How an image is stored: the values of FFCV's IMAGE_MODES, a Numba dictionary that takes a second to compile."""


@dataclass(frozen=True)
class SkippedImage:
    """An image that was left out of the store.

    Attributes:
        path: relative to the source folder.
        reason: why it could not be converted.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class StoreFile:
    """One file of a store that is a folder.

    Attributes:
        name: within the folder.
        size_bytes: its size.
        sha256: hexadecimal digest of its content.
    """

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class StoreOptions:
    """How the images were converted.

    Attributes:
        max_side: longer side, in pixels, to which larger images were reduced.
        quality: JPEG quality, 1 to 100, of images that were encoded anew.
        on_error: what was to happen at an unreadable image.
        mode: "jpg", "raw" or "mixed".
        raw_share: share of the images kept as pixels: 0 in mode "jpg", 1 in "raw", from 0 to 1 in "mixed".
        range: the values that became 0 to 255 in images of more than eight bits a channel.
        max_pixels: the largest size that was decoded.
        frugal: whether JPEGs were relieved of large metadata, and very large ones were decoded at a reduced size; not
            so in stores of earlier versions.
    """

    max_side: int
    quality: int
    on_error: OnError
    mode: str = "jpg"
    raw_share: float = 0.0
    range: ValueRange = FULL
    max_pixels: int = MAX_PIXELS
    frugal: bool = False


@dataclass(frozen=True)
class Manifest:
    """Record of one store.

    Attributes:
        kind: "ffcv", one file, or "webdataset", a folder of ``files``.
        count: number of images in the store.
        originals: how many of them keep the bytes of their source file, but for large metadata; 0 in an adopted store.
        classes: names in the order of the labels; None without classes, or where an adopted store's are not known.
        label_counts: number of images of each label; None without labels.
        source: absolute path of the folder of images; empty in a store that was adopted.
        list_file: absolute path of the list that chose the images, if there was one.
        options: how the images were converted; None in a store that was adopted.
        skipped: images that were left out.
        size_bytes: of the file, or of all ``files`` together.
        sha256: hexadecimal digest of the file, or for a folder ``digest_of(files)``.
        raw: how many images are stored as pixels.
        labels: where labels came from: ``auto``, ``folders``, ``none``, or the absolute path of a file of labels.
        files: of a store that is a folder; empty for one file.
        image_field, label_field: names of the fields of a ``.beton`` store; the second None for no labels.
        names_sha256: hexadecimal digest of what says what its images are called (``store_names``); empty without that.
        format_version: of the manifest.
    """

    kind: str
    count: int
    originals: int
    classes: tuple[str, ...] | None
    label_counts: tuple[int, ...] | None
    source: str
    list_file: str | None
    options: StoreOptions | None
    skipped: tuple[SkippedImage, ...]
    size_bytes: int
    sha256: str
    raw: int = 0
    labels: str = "auto"
    files: tuple[StoreFile, ...] = ()
    image_field: str = "image"
    label_field: str | None = "label"
    names_sha256: str = ""
    format_version: int = FORMAT_VERSION

    def check(self, store: Path, digest: bool = False) -> None:
        """Raises UserError if the sizes of the store's files, or with ``digest`` their content, are not as recorded."""
        if not self.files:
            _check_file(store, store, self.size_bytes, self.sha256 if digest else None)
        for file in self.files:
            _check_file(store, store / file.name, file.size_bytes, file.sha256 if digest else None)

    def places(self, files: Sequence[str]) -> list[int]:
        """Places of the store's images, in their order, among the ``files`` of its source."""
        left_out = {image.path for image in self.skipped}
        return [place for place, file in enumerate(files) if file not in left_out]

    def write(self, path: Path) -> None:
        """Writes the record as JSON; the file appears once it is complete."""
        write_text(path, self.text())

    def text(self) -> str:
        """The record as JSON."""
        return json.dumps(asdict(self), indent=1)


def adopted_manifest(classes: tuple[str, ...] | None, label_counts: tuple[int, ...] | None, **store: Any) -> Manifest:
    """Builds the manifest of a store that another program wrote; ``store`` gives its other fields."""
    unknown: dict[str, Any] = {"originals": 0, "source": "", "list_file": None, "options": None, "skipped": ()}
    return Manifest(**{**unknown, **store}, classes=classes, label_counts=label_counts)


def manifest_path(store: Path) -> Path:
    """Path of a store's manifest: STORE.json, such as ``train.beton.json``, or in a folder ``manifest.json``."""
    return store / "manifest.json" if store.is_dir() else store.with_name(store.name + ".json")


def adopt_hint(store: Path) -> str:
    """What to do where a store may be whole and only its manifest or index is not."""
    return f"if the store is whole, `python -m dataprep adopt {store}` checks it and writes one; else convert it again"


def read_manifest(store: Path) -> Manifest:
    """Reads the manifest of a store.

    Raises:
        UserError: it is missing, is not a manifest, is incomplete, or has another format version.
    """
    path = manifest_path(store)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{store} has no manifest ({path} cannot be read): {adopt_hint(store)}") from error
    except OSError as error:
        raise UserError(f"the manifest {path} cannot be read ({error.strerror}); make it readable") from error
    except ValueError as error:
        raise UserError(f"{path} is not a store's manifest; {adopt_hint(store)}") from error
    version = record.get("format_version") if isinstance(record, dict) else None
    if version != FORMAT_VERSION:
        raise UserError(
            f"the manifest {path} has format version {version} where this program reads {FORMAT_VERSION}; "
            "convert the images again"
        )
    try:
        return _from_record(record)
    except (KeyError, TypeError) as error:
        raise UserError(f"the manifest {path} is incomplete ({error}); {adopt_hint(store)}") from error


def sha256_of(path: Path) -> str:
    """The hexadecimal SHA-256 digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(files: Sequence[StoreFile]) -> str:
    """The SHA-256 digest of the list that ``sha256sum`` prints for ``files`` in the order of their names."""
    lines = "".join(f"{file.sha256}  {file.name}\n" for file in sorted(files, key=lambda file: file.name))
    return hashlib.sha256(os.fsencode(lines)).hexdigest()


def _check_file(store: Path, path: Path, size_bytes: int, sha256: str | None) -> None:
    if not path.is_file():
        raise UserError(f"{path} is missing; bring it back, or convert the images again")
    size = path.stat().st_size
    if size != size_bytes:
        raise UserError(
            f"the store {path} has {size} bytes where its manifest says {size_bytes}; convert the images again, or if "
            f"the manifest is another store's, `python -m dataprep adopt {store}` checks the store and writes a new one"
        )
    if sha256 is not None and sha256_of(path) != sha256:
        raise UserError(f"the content of {path} is not what its manifest says; convert the images again")


def _from_record(record: dict) -> Manifest:
    """Builds a manifest from its JSON; a field that is not in it has its default value."""
    values = {field.name: record[field.name] for field in fields(Manifest) if _required(field) or field.name in record}
    for name in ("classes", "label_counts"):
        values[name] = None if values[name] is None else tuple(values[name])
    options = values["options"]
    if options is not None:
        taken = ValueRange(**options["range"]) if "range" in options else FULL
        values["options"] = StoreOptions(**{**options, "range": taken})
    values["skipped"] = tuple(SkippedImage(**image) for image in values["skipped"])
    values["files"] = tuple(StoreFile(**file) for file in values.get("files", ()))
    return Manifest(**values)


def _required(field: Field) -> bool:
    return field.default is MISSING
