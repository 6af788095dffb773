"""Converts a folder of images to a folder of WebDataset shards, which appears only once it is complete."""

from pathlib import Path

import numpy as np

from dataprep.atomic import put_folder_in_place, remove_leftovers, unfinished
from dataprep.conversion import Record, check_options, describe, for_source, write_converted
from dataprep.errors import OnError, UserError
from dataprep.formats import MAX_PIXELS
from dataprep.manifest import Manifest, StoreFile, StoreOptions, digest_of, manifest_path, read_manifest, sha256_of
from dataprep.shard_index import INDEX_NAME
from dataprep.shards import ShardWriter
from dataprep.sources import ImageSource
from dataprep.store_names import names_path, write_names
from dataprep.value_range import ValueRange, parse_range
from dataprep.workers import available_cores

LARGEST_MEMBER = (1 << 33) - 1  # bytes: the largest size that the eleven octal digits of a tar header hold


def write_shards(
    source: ImageSource,
    out: Path,
    *,
    max_side: int = 500,
    quality: int = 90,
    range: str | ValueRange = "auto",
    max_pixels: int = MAX_PIXELS,
    shard_mib: int = 256,
    workers: int | None = None,
    on_error: OnError = "fail",
    overwrite: bool = False,
) -> Manifest:
    """Converts the images, in their order, to shards in the folder ``out``, with their indexes and a manifest.

    The images are the JPEGs that ``ffcv_store.write_store`` would store, with the same options. The folder appears
    under its name once it is complete; an interrupted conversion leaves no incomplete folder there.

    Args:
        source: the images.
        out: folder to make; an empty one may be there.
        max_side: longer side, in pixels, to which larger images are reduced.
        quality: JPEG quality, 1 to 100, of images that are encoded anew.
        range: the values that become 0 to 255 in images of more than eight bits a channel: a range, "LOW,HIGH", "full"
            for all of 16 bits, or "auto" for the number of bits that ``bit_depth.find_range`` finds in the source.
        max_pixels: the largest size of an image that is decoded.
        shard_mib: size in MiB that no shard exceeds, unless a single sample does.
        workers: number of processes; by default one for each available core.
        on_error: "fail" stops at an unreadable image; "skip" leaves it out and records it in the manifest.
        overwrite: whether an existing store is replaced.

    Raises:
        UserError: an option is wrong, ``out`` exists or cannot be written, its disk has too little space, an image is
            unreadable, or a worker died.
    """
    asked = parse_range(range) if isinstance(range, str) else range
    options = StoreOptions(max_side, quality, on_error, max_pixels=max_pixels, frugal=True)
    workers = available_cores() if workers is None else workers
    check_options(options, workers)
    if shard_mib < 1:
        raise UserError(f"--shard_mib {shard_mib} is too few; give at least 1")
    remove_leftovers(out.parent, out.name)  # first, since a killed replacement may have left the old store hidden
    _check_out(out, overwrite)
    options = for_source(options, asked, source, out, workers)
    with unfinished(out) as folder:
        folder.mkdir()
        record = _write_files(source, folder, options, shard_mib << 20, workers)
        manifest = _describe(source, folder, options, record)
        manifest.write(manifest_path(folder))
        put_folder_in_place(folder, out)
    return manifest


def _check_out(out: Path, overwrite: bool) -> None:
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; give the name of a folder to write")
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not manifest_path(out).is_file() or read_manifest(out).kind != "webdataset":
        raise UserError(f"{out} is a folder with other things than shards in it; choose another name")
    if read_manifest(out).options is None:
        raise UserError(f"{out} holds shards that were adopted, perhaps the only copy of them; choose another name")
    if not overwrite:
        raise UserError(f"the store {out} exists; remove it, choose another name, or replace it with --overwrite")


def _write_files(source: ImageSource, folder: Path, options: StoreOptions, shard_bytes: int, workers: int) -> Record:
    with ShardWriter(folder, shard_bytes) as shards:
        record = write_converted(shards.write, source, options, workers, LARGEST_MEMBER)
    np.save(folder / INDEX_NAME, shards.index())
    return record


def _describe(source: ImageSource, folder: Path, options: StoreOptions, record: Record) -> Manifest:
    files = tuple(_file(path) for path in sorted(folder.iterdir()))
    size = sum(file.size_bytes for file in files)
    manifest = describe(
        source, options, record, kind="webdataset", size_bytes=size, sha256=digest_of(files), files=files
    )
    return write_names(names_path(folder), manifest, source)


def _file(path: Path) -> StoreFile:
    return StoreFile(path.name, path.stat().st_size, sha256_of(path))
