"""Adopts stores that other programs wrote, or whose manifest was lost: checks them, and writes a manifest."""

import os
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

from dataprep.adopt_shards import adopt_shards
from dataprep.atomic import put_aside
from dataprep.beton import INT_FIELD, KINDS, RGB_IMAGE_FIELD, read_fields
from dataprep.class_labels import count_labels, read_class_names
from dataprep.errors import OnError, UserError
from dataprep.image_lists import SPECIAL
from dataprep.manifest import Manifest, adopted_manifest, manifest_path, read_manifest, sha256_of
from dataprep.notes import note
from dataprep.sources import SHARD_ENDINGS
from dataprep.store_names import adopt_names, names_path
from dataprep.stored_samples import StoredSamples, beton_samples
from dataprep.verify import decode_fault, each_checked, worker_count

NO_LABELS = "none"


def adopt_store(
    store: Path,
    *,
    classes_file: Path | None = None,
    image_field: str | None = None,
    label_field: str | None = None,
    workers: int | None = None,
    on_error: OnError = "fail",
) -> Manifest:
    """Checks that a store can be read, and writes the manifest (of shards also index and names) with which it is read.

    Every image is decoded. The store itself is not changed. What is written appears once it is complete.

    Args:
        store: a ``.beton`` file, or a folder of WebDataset shards.
        classes_file: the names of the classes, one a line; without it they stay unknown, unless labels are names.
        image_field: the images' field, or in shards the ending of their members; by default found out.
        label_field: the labels' field, or in shards the ending of their members or their name in ``.json``; by default
            found out; "none" for no labels.
        workers: number of processes; by default one for each available core.
        on_error: at an image that cannot be used, "fail" stops; "skip" leaves it out of the index of shards, and in a
            ``.beton`` file only names it.

    Raises:
        UserError: the store has a manifest, cannot be read, or holds an image or a label that cannot be used; its
            folder cannot be written to; or a worker died.
    """
    if not store.exists():
        raise UserError(f"there is no store {store}; give a .beton file or a folder of WebDataset shards")
    if not (store.is_dir() or store.is_file()):
        raise UserError(f"{store} is no regular file {SPECIAL}; give a .beton file or a folder of WebDataset shards")
    workers = worker_count(workers)
    if store.name.lower().endswith(SHARD_ENDINGS) and store.is_file():
        raise UserError(f"{store} is a single shard; give the folder that it lies in")
    _check_place(store)
    classes = None if classes_file is None else read_class_names(classes_file)
    if store.is_dir():
        label = None if label_field == NO_LABELS else label_field or "label"
        manifest, names = adopt_shards(store, classes, image_field, label, workers, on_error)
    else:
        manifest, names = _check_beton(store, classes, image_field, label_field, workers, on_error), None
    path = manifest_path(store)
    manifest = adopt_names(store, manifest, names, lost_manifest=not path.exists())
    if path.exists():
        note(f"the manifest that did not fit {store} is now {put_aside(path)}")
    manifest.write(path)
    return manifest


def _check_place(store: Path) -> None:
    """Raises UserError where a manifest that fits is there already, or none can be written."""
    path = manifest_path(store)
    if not os.access(store, os.R_OK):
        raise UserError(f"{store} cannot be read: its permissions do not allow it")
    if not os.access(path.parent, os.W_OK):
        raise UserError(
            f"{path.parent} cannot be written to, and the manifest lies beside what it describes; "
            "make it writable, or adopt links to the files (ln -s) in another folder"
        )
    if (names := names_path(store)).is_dir():
        raise UserError(f"{names} is a folder, where the names of the images are to lie: move it away")
    try:
        read_manifest(store).check(store)
    except UserError:
        return
    raise UserError(
        f"{store} has a manifest that fits it, {path}, and needs none: train from it, or check it with python -m "
        f"dataprep verify {store}; to adopt it anew, move the manifest away first"
    )


def _check_beton(
    store: Path,
    classes: tuple[str, ...] | None,
    image_field: str | None,
    label_field: str | None,
    workers: int,
    on_error: OnError,
) -> Manifest:
    fields = read_fields(store)
    if max(fields.values()) >= len(KINDS):
        raise UserError(f"{_listed(store, fields)}; how to read past a custom field, only its own program knows")
    image_field, label_field = _image_field(store, fields, image_field), _label_field(store, fields, label_field)
    samples = beton_samples(store, image_field, label_field)
    labels = samples.table["label"]
    counts = count_labels(labels, classes)
    if counts is not None and sum(counts) < len(labels):
        missing = len(labels) - sum(counts)
        note(f"{missing} of the {len(labels)} images have a negative label, that is none: all count as unlabelled")
        label_field = counts = classes = None
    _decode_all(samples, workers, on_error)
    return adopted_manifest(
        classes,
        counts,
        kind="ffcv",
        count=len(labels),
        size_bytes=store.stat().st_size,
        sha256=sha256_of(store),
        raw=int(np.count_nonzero(samples.table["raw"])),
        image_field=image_field,
        label_field=label_field,
    )


def _decode_all(samples: StoredSamples, workers: int, on_error: OnError) -> None:
    check = partial(decode_fault, files=samples.files)
    with closing(each_checked(check, samples.table, workers, "decoding")) as checked:
        for sample, fault in checked:
            if fault is not None and on_error == "fail":
                raise UserError(
                    f"{samples.name(sample)} {fault}; convert the images again, or adopt the store as it is "
                    "(--on_error skip) and train with --data.on_error skip"
                )
            if fault is not None:
                note(f"{samples.name(sample)} {fault}: it stays in the store; train with --data.on_error skip")


def _image_field(store: Path, fields: dict[str, int], asked: str | None) -> str:
    images = [name for name, kind in fields.items() if kind == RGB_IMAGE_FIELD]
    if asked is None and "image" in images:
        return "image"
    chosen = [asked] if asked in images else images if asked is None else []
    if len(chosen) != 1:
        remedy = "say with --image_field NAME which one to take" if images else "none is of RGB images, as is needed"
        raise UserError(f"{_listed(store, fields)}; {remedy}")
    return chosen[0]


def _label_field(store: Path, fields: dict[str, int], asked: str | None) -> str | None:
    """The field of labels: ``label``, or the only one of integers; None if there is none, or none is wanted."""
    if asked == NO_LABELS:
        return None
    numbers = [name for name, kind in fields.items() if kind == INT_FIELD]
    if asked is None and ("label" in numbers or len(numbers) < 2):
        name = "label" if "label" in numbers else next(iter(numbers), None)
        if name is None:
            note(f"{_listed(store, fields)}; none is of int, so that the images have no labels")
        return name
    if asked not in numbers:
        raise UserError(
            f"{_listed(store, fields)}; say with --label_field NAME which one of int holds the labels, "
            f"or {NO_LABELS} for no labels"
        )
    return asked


def _listed(store: Path, fields: dict[str, int]) -> str:
    kinds = (f"{name} ({KINDS[kind] if kind < len(KINDS) else 'custom'})" for name, kind in fields.items())
    return f"{store} has the fields {', '.join(kinds)}"
