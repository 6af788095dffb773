"""The images that a command judges with: those of a store or a folder, all of them or those that a list names."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataprep.errors import UserError
from dataprep.image_lists import read_list
from dataprep.labels import AUTO
from dataprep.manifest import read_manifest
from dataprep.store_names import read_names
from vicregl_fast.data.engine_table import OpenedStore, open_store
from vicregl_fast.data.source import Source, is_store
from vicregl_fast.data.store import Store


@dataclass(frozen=True)
class ChosenImages:
    """Some images of a store.

    Attributes:
        opened: the store.
        indices: its samples that are chosen, int64 [n]; what is drawn for an image goes by its number there.
        complete: whether no list may have left images out.
    """

    opened: OpenedStore
    indices: np.ndarray
    complete: bool = True

    @classmethod
    def all_of(cls, opened: OpenedStore, complete: bool = True) -> "ChosenImages":
        """All images of a store; ``complete`` as above."""
        return cls(opened, np.arange(len(opened.store)), complete)

    @property
    def store(self) -> Store:
        """The store, with all its images."""
        return self.opened.store

    def __len__(self) -> int:
        return len(self.indices)


def open_chosen(
    path: Path, list_file: Path | None, labels: str = AUTO, like: ChosenImages | None = None
) -> ChosenImages:
    """Opens a store, or a folder of images, which is read as it is.

    Args:
        path: of the store or the folder.
        list_file: names the images to use (``image_lists.read_list``), and their order; None uses all.
        labels: where a folder's labels come from.
        like: images whose range of values is taken for those of more than eight bits, too. The name of one of their
            classes makes a folder's only class folder one.

    Raises:
        UserError: nothing is there, it cannot be read, or the list names other images.
    """
    known = None if like is None else like.store
    if not is_store(path):
        classes = () if known is None or known.classes is None else tuple(known.classes)
        source = Source(path, path.parent, list_file, labels, known_classes=classes)
        return ChosenImages.all_of(open_store(source, "torchvision", like=known), complete=list_file is None)
    opened = open_store(Source(path, path.parent, None, labels), like=known)
    if list_file is None:
        return ChosenImages.all_of(opened)
    listed = _listed(path, list_file)
    return ChosenImages(opened, listed, complete=len(np.unique(listed)) == len(opened.store))


def _listed(store: Path, list_file: Path) -> np.ndarray:
    manifest, names = read_manifest(store), read_names(store)
    numbers = {name: number for number, name in enumerate(names)}
    left_out = {image.path: image.reason for image in manifest.skipped}
    chosen = read_list(list_file, Path(manifest.source or store), (*names, *left_out))
    if missing := next((name for name in chosen if name in left_out), None):
        raise UserError(f"{missing} in {list_file} was left out of the store {store}: {left_out[missing]}")
    return np.array([numbers[name] for name in chosen], np.int64)
