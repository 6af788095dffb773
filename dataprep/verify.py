"""Checks that a store is complete, agrees with its manifest, and agrees with its source."""

from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dataprep.errors import UnreadableImage, UserError
from dataprep.images import convert
from dataprep.manifest import Manifest, StoreOptions, manifest_path, read_manifest
from dataprep.notes import note
from dataprep.progress import progress_bar
from dataprep.same_images import labels_at
from dataprep.shard_index import INDEX_NAME
from dataprep.sources import list_images, list_shards
from dataprep.store_names import check_names
from dataprep.stored_jpeg import upright_size
from dataprep.stored_samples import StoredSamples, list_samples, read_bytes
from dataprep.workers import available_cores, ordered_map


def verify_store(store: Path, source: Path | None = None, sample: int = 64, workers: int | None = None) -> int:
    """Decodes every JPEG, and checks sizes, counts, labels and digests against the manifest.

    Of images stored as pixels, which need no decoding, the number of bytes is checked. Some images, the same ones each
    time, are also converted again from their source, and must give the same bytes. A store that was adopted names none.

    Args:
        store: a ``.beton`` file or a folder of shards.
        source: folder of the images; by default the one that the manifest names.
        sample: number of images to compare with their source.
        workers: number of processes; by default one for each available core.

    Returns:
        How many images were compared with their source.

    Raises:
        UserError: the first fault that was found, with the image's number if it concerns one image.
    """
    if not store.exists():
        raise UserError(f"there is no store {store}; give a .beton file or a folder of shards")
    if not manifest_path(store).is_file() and store.suffix != ".beton" and not (store / INDEX_NAME).is_file():
        hint = f", or make these shards one: python -m dataprep adopt {store}" if list_shards(store) else ""
        raise UserError(f"{store} is no store; give a .beton file or a folder of shards{hint}")
    if sample < 0:
        raise UserError(f"--sample {sample} is negative; give how many images to compare with their source")
    workers = worker_count(workers)
    manifest = read_manifest(store)
    manifest.check(store)
    if source is not None and manifest.options is None:
        raise UserError(f"{store} was adopted, so that nothing says how a source was converted; leave --source out")
    samples = list_samples(store, manifest)
    _check_counts(store, manifest, samples)
    _check_all(partial(decode_fault, files=samples.files), samples.table, samples, workers, "decoding")
    # Before the comparison, so that a difference from the source cannot be due to a damaged store.
    manifest.check(store, digest=True)
    check_names(store)
    compared = min(sample, manifest.count)
    if manifest.options is None:
        note(f"{store} was adopted: its manifest names no source, so that none of its images is compared with one")
        return 0
    if compared:
        _check_source(source or Path(manifest.source), manifest, manifest.options, samples, compared, workers)
    return compared


def worker_count(asked: int | None) -> int:
    """The number of worker processes: one for each available core unless another is asked for.

    Raises:
        UserError: less than 1 is asked for.
    """
    if asked is not None and asked < 1:
        raise UserError(f"--workers {asked} is too few; give at least 1")
    return asked or available_cores()


def decode_fault(sample: np.void, files: tuple[Path, ...]) -> str | None:
    """Says what is wrong with a stored image (STORED); None if it decodes and has the recorded size."""
    height, width = int(sample["height"]), int(sample["width"])
    data = read_bytes(sample, files)
    if sample["raw"]:
        return None if len(data) == 3 * height * width else f"has {len(data)} bytes of {height}x{width} pixels"
    found = upright_size(data)
    if isinstance(found, str):
        return found
    return None if found == (height, width) else f"has {found[0]}x{found[1]} pixels where {height}x{width} are recorded"


def source_fault(
    pair: tuple[np.void, tuple[int, str]], files: tuple[Path, ...], root: Path, options: StoreOptions
) -> str | None:
    """Says how a stored image differs from a new conversion of its source file; None if it does not.

    Args:
        pair: the image (STORED), and what ``convert`` takes: its place in the source, and its path below ``root``.
        files: of the store.
        root: folder of the images.
        options: how the store was converted.
    """
    sample, (place, file) = pair
    again = convert((place, file), root, options)
    if isinstance(again, UnreadableImage):
        return f"cannot be compared with {root / file}: {again}"
    same = (again.height, again.width, again.raw) == (sample["height"], sample["width"], sample["raw"])
    if same and again.data == read_bytes(sample, files):
        return None
    return f"is not what {root / file} gives (it has changed, or another version of Pillow encoded it)"


def _check_counts(store: Path, manifest: Manifest, samples: StoredSamples) -> None:
    labels = samples.table["label"]
    counts = {"images": (len(labels), manifest.count), "images as pixels": (samples.table["raw"].sum(), manifest.raw)}
    known = labels[labels >= 0]
    if manifest.label_counts is None:
        counts["images with labels"] = (len(known), 0)
    else:
        found = np.bincount(known[known < len(manifest.label_counts)], minlength=len(manifest.label_counts)).tolist()
        for label, pair in enumerate(zip(found, manifest.label_counts, strict=True)):
            counts[f"images with label {label}"] = pair
    for what, (found, expected) in counts.items():
        if found != expected:
            raise UserError(f"{store} has {found} {what} where its manifest says {expected}; convert the images again")


def _check_all(fault: Callable[[Any], str | None], items: Any, samples: StoredSamples, workers: int, what: str) -> None:
    """Raises UserError for the first of ``items`` (a sequence or an array) that has a fault."""

    def name(item: Any) -> str:
        return samples.name(item[0] if isinstance(item, tuple) else item)

    with closing(each_checked(fault, items, workers, what, name=name, crashed=_crash)) as faults:
        for item, found in faults:
            if found is not None:
                raise UserError(f"{name(item)} {found}; convert the images again")


def _crash(item: Any) -> str | None:
    return "makes its decoder crash"


def each_checked(
    check: Callable[[Any], Any],
    items: Any,
    workers: int,
    what: str,
    unit: str = "images",
    **how: Any,
) -> Generator[tuple[Any, Any], None, None]:
    """Yields each of ``items`` (a sequence or an array) with ``check(item)``, and shows a progress bar.

    Args:
        check: is computed by worker processes, as in ``ordered_map``.
        items: what it is computed of.
        workers: number of processes.
        what: is done, for the progress bar.
        unit: what the items are, for the progress bar.
        how: more arguments of ``ordered_map``.
    """
    with (
        closing(ordered_map(check, items, workers, **how)) as results,
        progress_bar(total=len(items), desc=what, unit=f" {unit}", mininterval=0.5) as progress,
    ):
        for pair in zip(items, results, strict=True):
            progress.update()
            yield pair


def _check_source(
    folder: Path, manifest: Manifest, options: StoreOptions, samples: StoredSamples, count: int, workers: int
) -> None:
    if not folder.is_dir():
        raise UserError(
            f"the source {folder} is not there; say with --source where it is, or compare no images with --sample 0"
        )
    source = list_images(folder, Path(manifest.list_file) if manifest.list_file else None, manifest.labels)
    places = manifest.places(source.files)
    if len(places) != manifest.count or labels_at(source, places) != samples.table["label"].tolist():
        raise UserError(
            f"{folder} lists other images or classes than were converted: it has changed since; "
            "convert the images again, or compare none with --sample 0"
        )
    drawn = np.sort(np.random.default_rng(0).choice(manifest.count, count, replace=False))
    pairs = [(samples.table[number], (places[number], source.files[places[number]])) for number in drawn]
    compare = partial(source_fault, files=samples.files, root=folder, options=options)
    _check_all(compare, pairs, samples, workers, "comparing")
