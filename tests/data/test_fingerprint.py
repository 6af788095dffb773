"""A store is told from another by what a run depends on."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from vicregl_fast.data.fingerprint import store_fingerprint
from vicregl_fast.data.image_folder import ImageFolder


@dataclass(frozen=True)
class Sized:
    path: Path
    heights: np.ndarray
    widths: np.ndarray
    labels: np.ndarray | None = None
    classes: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.heights)


THREE = Sized(Path("a.beton"), np.array([4, 5, 6]), np.array([7, 8, 9]))


def test_it_does_not_depend_on_the_place() -> None:
    assert store_fingerprint(THREE) == store_fingerprint(replace(THREE, path=Path("elsewhere.beton")))


@pytest.mark.parametrize(
    "change",
    [
        {"heights": np.array([5, 4, 6]), "widths": np.array([8, 7, 9])},
        {"heights": np.array([4, 5]), "widths": np.array([7, 8])},
        {"heights": np.array([7, 8, 9]), "widths": np.array([4, 5, 6])},
        {"labels": np.array([0, 0, 1]), "classes": ("ant", "bee")},
    ],
)
def test_order_number_sizes_and_labels_count(change: dict) -> None:
    assert store_fingerprint(replace(THREE, **change)) != store_fingerprint(THREE)


def test_classes_count() -> None:
    labelled = replace(THREE, labels=np.array([0, 0, 1]), classes=("ant", "bee"))
    assert store_fingerprint(labelled) != store_fingerprint(replace(labelled, classes=("ant", "wasp")))


def test_the_names_of_a_folder_s_files_count() -> None:
    folder = ImageFolder(Path("a"), ("1.jpg", "2.jpg"), None, None)
    others = [replace(folder, files=("1.jpg", "3.jpg")), replace(folder, files=("1.jpg", "\udce9.jpg"))]
    assert len({store_fingerprint(each) for each in (folder, *others)}) == 3
