"""Converts a folder of images to one FFCV store, which appears only once it is complete."""

from functools import partial
from pathlib import Path

from dataprep.atomic import put_all_in_place, unfinished
from dataprep.beton import write_beton
from dataprep.conversion import check_options, describe, for_source, write_converted
from dataprep.errors import OnError, UserError
from dataprep.formats import MAX_PIXELS
from dataprep.image_lists import SPECIAL
from dataprep.manifest import Manifest, StoreOptions, manifest_path, read_manifest, sha256_of
from dataprep.sources import ImageSource
from dataprep.store_names import names_path, write_names
from dataprep.value_range import ValueRange, parse_range
from dataprep.workers import available_cores

SMALLEST_PAGE = 1 << 23  # bytes: FFCV's default
LARGEST_PAGE = 1 << 28


def write_store(
    source: ImageSource,
    out: Path,
    *,
    max_side: int = 500,
    quality: int = 90,
    range: str | ValueRange = "auto",
    max_pixels: int = MAX_PIXELS,
    mode: str = "jpg",
    raw_share: float | None = None,
    workers: int | None = None,
    on_error: OnError = "fail",
    overwrite: bool = False,
) -> Manifest:
    """Converts the images, in their order, to ``out``, and writes its manifest and their names beside it.

    The store has the fields ``image`` and ``label`` (-1 without classes). Its bytes do not depend on ``workers``. It
    appears under its name once it is complete; an interrupted conversion leaves no incomplete store.

    Args:
        source: the images.
        out: file to write, ending in ``.beton``.
        max_side: longer side, in pixels, to which larger images are reduced.
        quality: JPEG quality, 1 to 100, of images that are encoded anew.
        range: the values that become 0 to 255 in images of more than eight bits a channel: a range, "LOW,HIGH", "full"
            for all of 16 bits, or "auto" for the number of bits that ``bit_depth.find_range`` finds in the source.
        max_pixels: the largest size of an image that is decoded.
        mode: "jpg" stores JPEGs, "raw" pixels, "mixed" pixels for a share of the images and JPEGs for the others.
        raw_share: share of images, 0 to 1, that mode "mixed" stores as pixels; the place in the source decides which.
        workers: number of processes; by default one for each available core.
        on_error: "fail" stops at an unreadable image; "skip" leaves it out and records it in the manifest.
        overwrite: whether an existing store is replaced.

    Raises:
        UserError: an option is wrong, ``out`` exists or cannot be written, its disk has too little space, an image is
            unreadable, or a worker died.
    """
    asked = parse_range(range) if isinstance(range, str) else range
    share = _raw_share(mode, raw_share)
    options = StoreOptions(max_side, quality, on_error, mode, share, max_pixels=max_pixels, frugal=True)
    workers = available_cores() if workers is None else workers
    check_options(options, workers)
    _check_out(out, overwrite)
    options = for_source(options, asked, source, out, workers)
    page_size = _page_size(max_side)
    beside = manifest_path(out), names_path(out)
    with (
        unfinished(beside[0]) as partial_manifest,
        unfinished(beside[1]) as partial_names,
        unfinished(out) as partial_store,  # innermost, since most of what can fail is writing it
    ):
        write = partial(write_beton, partial_store, capacity=len(source), page_size=page_size)
        record = write_converted(write, source, options, workers, largest=page_size)
        size, digest = partial_store.stat().st_size, sha256_of(partial_store)
        manifest = describe(source, options, record, kind="ffcv", size_bytes=size, sha256=digest)
        manifest = write_names(partial_names, manifest, source)
        partial_manifest.write_text(manifest.text(), encoding="utf-8")
        # The store comes last, so that none is ever without a manifest. An interruption in between leaves the manifest
        # alone, or with ``overwrite`` beside the old store, which then fails the manifest's check.
        put_all_in_place({beside[0]: partial_manifest, beside[1]: partial_names, out: partial_store})
    return manifest


def _raw_share(mode: str, share: float | None) -> float:
    if mode not in ("jpg", "raw", "mixed"):
        raise UserError(f"--mode {mode} is unknown; give jpg, raw or mixed")
    if (share is not None) != (mode == "mixed"):
        raise UserError(f"--raw_share goes with --mode mixed and only with it, and the mode is {mode}")
    if share is None:
        return 1.0 if mode == "raw" else 0.0
    if not 0 <= share <= 1:
        raise UserError(f"--raw_share {share} is out of range; give a share from 0 to 1")
    return share


def _check_out(out: Path, overwrite: bool) -> None:
    if out.suffix != ".beton":
        raise UserError(f"the store's name {out} has an unknown extension; an FFCV store ends in .beton")
    if out.is_dir():
        raise UserError(f"{out} is a folder; give the name of a file to write")
    if out.exists() and not out.is_file():
        raise UserError(f"{out} is no regular file {SPECIAL}; give the name of a file to write")
    for beside in (manifest_path(out), names_path(out)):
        if beside.is_dir():
            raise UserError(f"{beside} is a folder, and a file of this name belongs to the store: move it away")
    if overwrite and manifest_path(out).is_file() and out.exists() and _is_adopted(out):
        raise UserError(f"{out} is a store that was adopted, perhaps the only copy; choose another name")
    if out.exists() and not overwrite:
        raise UserError(f"the store {out} exists; remove it, choose another name, or replace it with --overwrite")


def _is_adopted(store: Path) -> bool:
    try:
        return read_manifest(store).options is None
    except UserError:
        return False  # a damaged manifest is not that of an adopted store


def _page_size(max_side: int) -> int:
    """Page size in bytes: the power of two that holds the pixels of the largest image, kept within the bounds above."""
    largest = 3 * max_side * max_side
    return min(max(SMALLEST_PAGE, 1 << (largest - 1).bit_length()), LARGEST_PAGE)
