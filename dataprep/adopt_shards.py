"""Checks WebDataset shards that another program wrote, and writes the index by which their images are found."""

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from dataprep.atomic import atomic_file
from dataprep.class_labels import WITHOUT_LABELS, count_labels, number_labels
from dataprep.errors import OnError, UserError
from dataprep.manifest import Manifest, SkippedImage, StoreFile, adopted_manifest, digest_of, sha256_of
from dataprep.notes import note
from dataprep.shard_index import INDEX, INDEX_NAME, is_shard
from dataprep.sources import list_shards
from dataprep.stored_jpeg import upright_size
from dataprep.stored_samples import read_bytes, table_of
from dataprep.tar_samples import Shard, TarSample, compressed_shard, read_shard
from dataprep.verify import each_checked

CONVERT = (
    "or unpack the shards (tar xf), sort the images into class folders if they are to have labels, and convert them: "
    "python -m dataprep ffcv FOLDER STORE.beton"
)

Found = tuple[int, TarSample]
"""A sample and the number of its shard."""


@dataclass
class _Sieve:
    """What is left out: by ``on_error``, the first sample with a fault raises UserError, or all are collected."""

    root: Path
    shards: list[StoreFile]
    on_error: OnError
    skipped: list[SkippedImage] = field(default_factory=list)

    def leave_out(self, found: Found, fault: str, remedy: str) -> None:
        shard, sample = found
        path = f"{self.shards[shard].name}/{sample.name}"
        if self.on_error == "fail":
            raise UserError(
                f"{sample.name} of {self.root / self.shards[shard].name} {fault}; "
                f"leave such images out (--on_error skip), {remedy}"
            )
        note(f"{path} is left out: it {fault}")
        self.skipped.append(SkippedImage(path, fault))

    def check_some(self, kept: Sequence[Found]) -> None:
        if not kept:
            first = self.skipped[0]
            raise UserError(f"none of the images in {self.root} can be used; the first, {first.path}, {first.reason}")


def adopt_shards(
    folder: Path,
    classes: tuple[str, ...] | None,
    image_field: str | None,
    label_field: str | None,
    workers: int,
    on_error: OnError,
) -> tuple[Manifest, tuple[str, ...]]:
    """Decodes every image of the shards in a folder and the folders in it, and writes ``index.npy``.

    The arguments are those of ``adopt.adopt_store``; ``image_field`` and ``label_field`` go to ``read_shard``.

    Returns:
        The manifest, which the caller writes, and what its images are called.

    Raises:
        UserError: there are no shards, or one is damaged; a sample cannot be used and is not to be skipped, or none can
            be used; or a file of another program has the index's name.
    """
    _check_index(folder / INDEX_NAME)
    shards = _read_shards(folder, image_field, label_field, workers)
    sieve = _Sieve(folder, [shard.file for shard in shards], on_error)
    found = [(number, sample) for number, shard in enumerate(shards) for sample in shard.samples]
    kept = [pair for pair in found if pair[1].fault is None]
    for pair in found:
        if pair[1].fault is not None:
            sieve.leave_out(pair, pair[1].fault, CONVERT)
    sieve.check_some(kept)
    labels, classes = number_labels([sample.label for _, sample in kept], classes)
    kept, labels = _labelled(kept, labels, sieve)
    counts = count_labels(labels, classes)
    if counts is None and label_field not in (None, "label"):
        raise UserError(f"no sample in {folder} has a label {label_field}, neither KEY.{label_field} nor in KEY.json")
    if counts is None and label_field is not None:
        note(f"the images of {folder} have no labels: none has KEY.cls, KEY.label, or a `label` in KEY.json beside it")
    sound, index = _decoded(kept, np.maximum(labels, -1), sieve, workers)
    if len(sound) < len(kept):
        counts = None if counts is None else count_labels(index["label"], classes)
    with atomic_file(folder / INDEX_NAME) as file:
        np.save(file, index)
    path = folder / INDEX_NAME
    files = (*sieve.shards, StoreFile(INDEX_NAME, path.stat().st_size, sha256_of(path)))
    manifest = adopted_manifest(
        classes,
        counts,
        kind="webdataset",
        count=len(index),
        skipped=tuple(sieve.skipped),
        size_bytes=sum(file.size_bytes for file in files),
        sha256=digest_of(files),
        files=files,
    )
    return manifest, _names(sound, sieve)


def _names(found: list[Found], sieve: _Sieve) -> tuple[str, ...]:
    """The members of the images, but SHARD/MEMBER (``a.tar/000.jpg``) for those that several shards have."""
    times = Counter(sample.name for _, sample in found)
    return tuple(
        sample.name if times[sample.name] == 1 else f"{sieve.shards[shard].name}/{sample.name}"
        for shard, sample in found
    )


def stored_size(sample: np.void, files: tuple[Path, ...]) -> tuple[int, int] | str:
    """What ``upright_size`` says of an image (STORED) whose size is not known yet."""
    return upright_size(read_bytes(sample, files))


def _check_index(path: Path) -> None:
    """Raises UserError if another program's file has the index's name. A lost manifest can have left an index."""
    try:
        ours = not path.exists() or np.load(path, mmap_mode="r", allow_pickle=False).dtype == INDEX
    except (OSError, ValueError, EOFError):
        ours = False
    if not ours:
        raise UserError(f"{path} is there and is no index of shards, for which this name is needed; move it away")


def _read_shards(folder: Path, image_field: str | None, label_field: str | None, workers: int) -> list[Shard]:
    names = list_shards(folder)
    if not names:
        raise UserError(f"there are no shards in {folder}; looked for files ending in .tar")
    if compressed := [name for name in names if not is_shard(name)]:
        raise compressed_shard(folder / compressed[0])
    ending = None if image_field is None else image_field.lower().removeprefix(".")
    read = partial(read_shard, root=folder, image_field=ending, label_field=label_field)
    with closing(each_checked(read, names, workers, "reading", "shards", chunk=1)) as checked:
        shards = [shard for _, shard in checked]
    without = [f"{key} of {folder / shard.file.name}" for shard in shards for key in shard.without_image]
    if not any(shard.samples for shard in shards):
        raise UserError(f"there are no images in the shards of {folder}; looked for members such as KEY.jpg")
    if without:
        note(f"{len(without)} samples without an image are left out, the first being {without[0]}")
    return shards


def _labelled(kept: list[Found], labels: np.ndarray, sieve: _Sieve) -> tuple[list[Found], np.ndarray]:
    """Leaves out the samples without label if others have one."""
    known = labels >= 0
    if not known.any():
        return kept, labels
    for place in np.flatnonzero(~known):
        sieve.leave_out(kept[place], "has no label, and others have one", f"or {WITHOUT_LABELS}")
    return [pair for pair, has in zip(kept, known, strict=True) if has], labels[known]


def _decoded(kept: list[Found], labels: np.ndarray, sieve: _Sieve, workers: int) -> tuple[list[Found], np.ndarray]:
    """Those images that decode, and their index, INDEX [m]."""
    places = {
        "shard": np.array([shard for shard, _ in kept]),
        "offset": np.array([sample.offset for _, sample in kept]),
        "size": np.array([sample.size for _, sample in kept]),
    }
    table = table_of(**places, label=labels)
    check = partial(stored_size, files=tuple(sieve.root / file.name for file in sieve.shards))
    sound = []
    with closing(each_checked(check, table, workers, "decoding")) as checked:
        for place, (row, outcome) in enumerate(checked):
            if isinstance(outcome, str):
                sieve.leave_out(kept[place], outcome, CONVERT)
            else:
                row["height"], row["width"] = outcome
                sound.append(place)
    decoding = [kept[place] for place in sound]
    sieve.check_some(decoding)
    index = np.zeros(len(sound), INDEX)
    for column in INDEX.names or ():
        index[column] = table[column][sound]
    return decoding, index
