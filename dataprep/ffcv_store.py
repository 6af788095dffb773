"""A folder of images into one FFCV store, whole or not at all."""

from functools import partial
from pathlib import Path

from dataprep.atomic import put_in_place, unfinished
from dataprep.beton import write_beton
from dataprep.conversion import check_options, describe, write_converted
from dataprep.errors import OnError, UserError
from dataprep.manifest import Manifest, StoreOptions, manifest_path, sha256_of
from dataprep.sources import ImageSource
from dataprep.workers import available_cores

SMALLEST_PAGE = 1 << 23  # FFCV's default
LARGEST_PAGE = 1 << 28


def write_store(
    source: ImageSource,
    out: Path,
    *,
    max_side: int = 500,
    quality: int = 90,
    mode: str = "jpg",
    raw_share: float | None = None,
    workers: int | None = None,
    on_error: OnError = "fail",
    overwrite: bool = False,
) -> Manifest:
    """Converts the images, in their order, to ``out`` (``.beton``) with its manifest beside it.

    Fields: ``image`` (its longer side at most ``max_side`` pixels) and ``label`` (-1 without classes). Mode "jpg"
    stores JPEGs, "raw" pixels, and "mixed" pixels for a ``raw_share`` of the images, drawn by their place in the
    source. ``on_error="skip"`` leaves unreadable images out and records them. The bytes do not depend on ``workers``.
    Until the store is complete it has another name, and an interruption leaves nothing.

    Raises:
        UserError: a wrong option, an unwritable or existing ``out``, an unreadable image, a dead worker.
    """
    options = StoreOptions(max_side, quality, on_error, mode, _raw_share(mode, raw_share))
    workers = available_cores() if workers is None else workers
    check_options(options, workers)
    _check_out(out, overwrite)
    page_size = _page_size(max_side)
    with unfinished(out) as partial_store:
        write = partial(write_beton, partial_store, capacity=len(source), page_size=page_size)
        record = write_converted(write, source, options, workers, largest=page_size)
        size, digest = partial_store.stat().st_size, sha256_of(partial_store)
        manifest = describe(source, options, record, kind="ffcv", size_bytes=size, sha256=digest)
        # The store comes last: a manifest alone is nothing, and a store never stands without one.
        manifest.write(manifest_path(out))
        put_in_place(partial_store, out)
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
    if out.exists() and not overwrite:
        raise UserError(f"the store {out} exists; remove it, choose another name, or replace it with --overwrite")


def _page_size(max_side: int) -> int:
    """A power of two that holds the pixels of the largest image uncompressed, within bounds."""
    largest = 3 * max_side * max_side
    return min(max(SMALLEST_PAGE, 1 << (largest - 1).bit_length()), LARGEST_PAGE)
