"""A folder of images into one FFCV store, whole or not at all."""

import os
from collections import Counter
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tqdm import tqdm

from dataprep.errors import UserError
from dataprep.images import StoredJpeg, UnreadableImage, try_stored_jpeg
from dataprep.manifest import Manifest, SkippedImage, StoreOptions, manifest_path, sha256_of
from dataprep.sources import ImageSource
from dataprep.workers import available_cores, ordered_map

SMALLEST_PAGE = 1 << 23  # FFCV's default
LARGEST_PAGE = 1 << 28
LARGEST_SIDE = 65500  # libjpeg's limit, within the uint16 of FFCV's metadata
UNLABELLED = -1


def write_store(
    source: ImageSource,
    out: Path,
    *,
    max_side: int = 500,
    quality: int = 90,
    workers: int | None = None,
    on_error: str = "fail",
    overwrite: bool = False,
) -> Manifest:
    """Converts the images, in their order, to ``out`` (``.beton``) with its manifest beside it.

    Fields: ``image`` (JPEG, its longer side at most ``max_side`` pixels) and ``label`` (-1 without classes).
    ``on_error="skip"`` leaves unreadable images out and records them. The bytes do not depend on ``workers``.
    Until the store is complete it has another name, and an interruption leaves nothing.

    Raises:
        UserError: a wrong option, an unwritable or existing ``out``, an unreadable image, a dead worker.
    """
    options = StoreOptions(max_side, quality, on_error)
    workers = available_cores() if workers is None else workers
    _check_options(options, workers)
    _check_out(out, overwrite)
    unfinished = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        unfinished.touch()
        record = _write_images(source, unfinished, options, workers)
        manifest = _describe(source, unfinished, options, record)
        # The store comes last: a manifest alone is nothing, and a store never stands without one.
        manifest.write(manifest_path(out))
        unfinished.replace(out)
        _sync(out.parent)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}; free space or choose another place") from error
    finally:
        _remove(unfinished)
    return manifest


@dataclass
class _Record:
    """What the conversion has seen so far."""

    labels: Counter[int] = field(default_factory=Counter)
    originals: int = 0
    skipped: list[SkippedImage] = field(default_factory=list)


def _check_options(options: StoreOptions, workers: int) -> None:
    if not 16 <= options.max_side <= LARGEST_SIDE:
        raise UserError(f"--max-side {options.max_side} is out of range; give pixels from 16 to {LARGEST_SIDE}")
    if not 1 <= options.quality <= 100:
        raise UserError(f"--quality {options.quality} is out of range; give a JPEG quality from 1 to 100")
    if options.on_error not in ("fail", "skip"):
        raise UserError(f"--on-error {options.on_error} is unknown; give fail or skip")
    if workers < 1:
        raise UserError(f"--workers {workers} is too few; give at least 1")


def _check_out(out: Path, overwrite: bool) -> None:
    if out.suffix != ".beton":
        raise UserError(f"the store's name {out} has an unknown extension; an FFCV store ends in .beton")
    if out.is_dir():
        raise UserError(f"{out} is a folder; give the name of a file to write")
    if out.exists() and not overwrite:
        raise UserError(f"the store {out} exists; remove it, choose another name, or replace it with --overwrite")


def _write_images(source: ImageSource, path: Path, options: StoreOptions, workers: int) -> _Record:
    from dataprep.beton import BetonWriter  # imports FFCV and torch, which takes seconds

    record = _Record()
    page_size = _page_size(options.max_side)
    with closing(_samples(source, options, workers, page_size, record)) as samples:
        count = BetonWriter(path, len(source), page_size).write(samples)
    if count == 0:
        first = record.skipped[0]
        raise UserError(f"none of the images can be decoded, the first being {first.path}: {first.reason}")
    return record


def _page_size(max_side: int) -> int:
    """A power of two that holds the pixels of the largest image uncompressed, within bounds."""
    largest = 3 * max_side * max_side
    return min(max(SMALLEST_PAGE, 1 << (largest - 1).bit_length()), LARGEST_PAGE)


def _samples(
    source: ImageSource, options: StoreOptions, workers: int, page_size: int, record: _Record
) -> Generator[tuple[StoredJpeg, int], None, None]:
    labels = source.labels or (UNLABELLED,) * len(source)
    convert = partial(_convert, root=source.root, max_side=options.max_side, quality=options.quality)
    with (
        closing(ordered_map(convert, source.files, workers)) as images,
        tqdm(total=len(source), unit=" images", mininterval=0.5) as progress,
    ):
        for file, label, image in zip(source.files, labels, images, strict=True):
            progress.update()
            if isinstance(image, StoredJpeg) and len(image.data) > page_size:
                image = UnreadableImage(f"its JPEG has {len(image.data)} bytes, more than a page of {page_size}")
            if isinstance(image, StoredJpeg):
                record.labels[label] += 1
                record.originals += image.original
                yield image, label
            elif options.on_error == "skip":
                record.skipped.append(SkippedImage(file, str(image)))
            else:
                raise UserError(
                    f"{source.root / file} cannot be converted: {image}; "
                    "remove it, or leave such images out with --on-error skip"
                )


def _convert(file: str, root: Path, max_side: int, quality: int) -> StoredJpeg | UnreadableImage:
    return try_stored_jpeg(root / file, max_side, quality)


def _describe(source: ImageSource, store: Path, options: StoreOptions, record: _Record) -> Manifest:
    _sync(store)
    return Manifest(
        kind="ffcv",
        count=record.labels.total(),
        originals=record.originals,
        classes=source.classes,
        label_counts=tuple(record.labels[i] for i in range(len(source.classes))) if source.classes else None,
        source=str(source.root.resolve()),
        list_file=str(source.list_file.resolve()) if source.list_file else None,
        options=options,
        skipped=tuple(record.skipped),
        size_bytes=store.stat().st_size,
        sha256=sha256_of(store),
    )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # its folder could not be made or entered, which has been reported
