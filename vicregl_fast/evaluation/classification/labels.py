"""The classes of training and test images, brought together by their names.

Shape letters: n training images that are chosen, t test images that count; without a letter, all samples of a store.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from textwrap import shorten

import numpy as np
from torch import Tensor, from_numpy

from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.data.store import Store
from vicregl_fast.evaluation.chosen_images import ChosenImages
from vicregl_fast.philox import permutation

BATCHNORM_IMAGES = 256
"""Number of training images, at most, on which an untrained network's BatchNorm statistics are re-estimated."""

UNKNOWN = -1
"""The label of test images whose class the training images lack."""


def percent(correct_m: Tensor) -> float:
    """The share of answers that are right, bool [m], in percent."""
    return 100 * correct_m.double().mean().item()


@dataclass(frozen=True)
class MatchedLabels:
    """Labels of training and test images in the numbering of the training images.

    Attributes:
        train: of all samples of the training images' store, int64.
        test: of all samples of the test images' store, int64, ``UNKNOWN`` where a class is.
        learned: the training images, int64 [n].
        tested: the test images that count, int64 [t]: those whose class is known.
    """

    train: Tensor
    test: Tensor
    learned: np.ndarray
    tested: np.ndarray

    @cached_property
    def train_n(self) -> Tensor:
        """Labels of the training images, int64 [n]."""
        return self.train[from_numpy(self.learned)]

    @cached_property
    def test_t(self) -> Tensor:
        """Labels of the test images that count, int64 [t]."""
        return self.test[from_numpy(self.tested)]

    @property
    def classes(self) -> int:
        """How many classes the training images' store has."""
        return int(self.train.max()) + 1

    def majority_accuracy(self) -> float:
        """The accuracy in percent of always answering the commonest training class."""
        return percent(self.test_t == self.train_n.bincount().argmax())

    def batchnorm_sample(self, seed: int) -> np.ndarray:
        """The training images on which BatchNorm statistics are re-estimated: int64, ``BATCHNORM_IMAGES`` at most."""
        return self.learned[permutation(seed, 0, len(self.learned))[:BATCHNORM_IMAGES]]


def matched_labels(train: ChosenImages, test: ChosenImages) -> MatchedLabels:
    """Matches the classes of both by name where both know the names, else by number.

    Notes say so, that the test images have only some of the classes, and which others they have, whose images do not
    count.

    Raises:
        UserError: images have no labels, or the two have no class in common.
    """
    train_labels, test_labels = _labels(train.store), _labels(test.store)
    if train.store.classes is None or test.store.classes is None:
        _check_numbers(train.store, test.store)
    elif train.store.classes != test.store.classes:
        test_labels = _by_name(train.store.classes, test.store.classes)[test_labels]
        _say_what_matches(train.store, test, test_labels)
    tested = test.indices[test_labels[test.indices] != UNKNOWN]
    return MatchedLabels(from_numpy(train_labels), from_numpy(test_labels), train.indices, tested)


def _check_numbers(train: Store, test: Store) -> None:
    nameless = train.path if train.classes is None else test.path
    largest, too_large = _labels(train).max(), _labels(test).max()
    if too_large > largest:
        raise UserError(
            f"{nameless} has no names of classes, and {test.path} has the label {too_large}, where the largest "
            f"of {train.path} is {largest}: number both alike"
        )
    note(f"{nameless} has no names of classes: labels of training and test images are matched by number", once=True)


def _by_name(train: Sequence[str], test: Sequence[str]) -> np.ndarray:
    """The number that each test class has among the training classes, int64."""
    numbers = {name: number for number, name in enumerate(train)}
    return np.array([numbers.get(name, UNKNOWN) for name in test], np.int64)


def _say_what_matches(train: Store, test: ChosenImages, test_labels: np.ndarray) -> None:
    assert train.classes is not None and test.store.classes is not None
    path, left_out = test.store.path, int((test_labels[test.indices] == UNKNOWN).sum())
    if left_out == len(test):
        raise UserError(
            f"{path} and {train.path} have no class in common: those of the test images are "
            f"{_listed(test.store.classes)}, those of the training images {_listed(train.classes)}"
        )
    others = [name for name in test.store.classes if name not in set(train.classes)]
    common = len(test.store.classes) - len(others)
    note(f"{path} has {common} of the {len(train.classes)} classes; they are matched by name", once=True)
    if left_out:
        note(
            f"{path} has {left_out} images of {len(others)} classes that {train.path} lacks, which are left out: "
            f"{_listed(others)}",
            once=True,
        )


def _listed(classes: Sequence[str]) -> str:
    return shorten(", ".join(classes), 100)


def _labels(images: Store) -> np.ndarray:
    if images.labels is None:
        raise UserError(
            f"{images.path} has no labels, which classification needs: give class folders, a file of labels, or a "
            "store made of them"
        )
    return images.labels
