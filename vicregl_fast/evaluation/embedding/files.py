"""The files of ``evaluate embed``: which there are, and how their space is made sure of.

Shape letters: n images, c channels, h×w cells of a map.
"""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dataprep.atomic import remove_leftovers
from dataprep.errors import UserError
from dataprep.free_space import GIB, free_bytes
from dataprep.manifest import UNLABELLED
from dataprep.notes import note
from dataprep.store_names import read_names
from vicregl_fast.data.image_folder import ImageFolder
from vicregl_fast.data.store import Store
from vicregl_fast.evaluation.chosen_images import ChosenImages

FEATURES = "features.npy"
"""Pooled features, float32 [n, c]."""
MAPS = "maps.npy"
"""Feature maps, float16 [n, c, h, w]."""
PATHS = "paths.csv"
"""A line for each row of the arrays: its number, the image's path in its folder or its store's, label and class."""
PICTURE = "picture.png"
SETTINGS = "settings.json"
"""What the features are of, and how they were computed."""


def check_out(out: Path, overwrite: bool) -> None:
    """Checks that features may be written to the folder ``out``; leftovers of killed processes are removed.

    Raises:
        UserError: it is a file or holds other things, or it holds features and they are not to be replaced.
    """
    remove_leftovers(out.absolute().parent, out.name)  # a killed replacement may have left the old folder hidden
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; give --out the name of a folder to make")
    names = {path.name for path in out.iterdir()} if out.is_dir() else set()
    others = sorted(names - {FEATURES, MAPS, PATHS, PICTURE, SETTINGS})
    if others:
        raise UserError(f"{out} is a folder with other things in it, such as {others[0]}: choose another --out")
    if names and not overwrite:
        raise UserError(f"{out} holds features already; give --overwrite to replace them, or another --out")


def check_space(out: Path, needed: int) -> None:
    """Raises UserError if the disk of ``out`` has fewer free bytes than ``needed``."""
    free = free_bytes(out)
    if free is not None and needed > free:
        raise UserError(
            f"{out} will take {needed / GIB:.2f} GiB, and its disk has {free / GIB:.2f} GiB free; free space, choose "
            "another place, or leave --maps out"
        )


def reserved_array(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> np.memmap:
    """Makes a file of numpy's format with all of its space taken, and returns its memory map, which is to be filled.

    Writing to the map of a file that finds no space would end the process without a word.

    Raises:
        OSError: the disk is full.
    """
    array = np.lib.format.open_memmap(path, "w+", dtype, shape)
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def write_paths(path: Path, chosen: ChosenImages) -> None:
    """Writes the line of every image. It has no path in a store that does not know its names, and may have no label."""
    store = chosen.store
    names = paths_of(store)
    # A name that is not UTF-8 keeps its bytes.
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as lines:
        table = csv.writer(lines, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        table.writerow(("row", "path", "label", "class"))
        for row, sample in enumerate(chosen.indices.tolist()):
            file = "" if names is None else names[sample]
            label = UNLABELLED if store.labels is None else int(store.labels[sample])
            name = "" if label == UNLABELLED or store.classes is None else store.classes[label]
            table.writerow((row, file, "" if label == UNLABELLED else label, name))


def paths_of(store: Store) -> Sequence[str] | None:
    """The paths of all images of a store in the folder that it was made from; None, with a note, where nobody knows."""
    if isinstance(store, ImageFolder):
        return store.files
    try:
        return read_names(store.path)
    except UserError as error:
        note(f"{PATHS} has no paths: {error}", once=True)
        return None
