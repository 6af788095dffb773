"""The classes of training and test images, brought together by their names.

Shape letters: n training images, t test images; without a letter, all samples of a store.
"""

from collections.abc import Iterable, Sequence
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
        train, test: of all samples of the two stores, int64; ``UNKNOWN`` for a class that the training images lack.
        train_indices: the samples to learn from, int64 [n].
        test_indices: the samples to test with, int64 [t]: those that were chosen and whose class is known.
        classes: how many classes there are.
    """

    train: Tensor
    test: Tensor
    train_indices: np.ndarray
    test_indices: np.ndarray
    classes: int

    @cached_property
    def train_n(self) -> Tensor:
        """Labels of the training images, int64 [n]."""
        return self.train[from_numpy(self.train_indices)]

    @cached_property
    def test_t(self) -> Tensor:
        """Labels of the test images, int64 [t]."""
        return self.test[from_numpy(self.test_indices)]

    def majority_accuracy(self) -> float:
        """The accuracy in percent of always answering the commonest training class."""
        return percent(self.test_t == self.train_n.bincount().argmax())

    def batchnorm_sample(self, seed: int) -> np.ndarray:
        """The training images on which BatchNorm statistics are re-estimated: int64, ``BATCHNORM_IMAGES`` at most."""
        return self.train_indices[permutation(seed, 0, len(self.train_indices))[:BATCHNORM_IMAGES]]


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
        _say_what_matches(train, test)
        test_labels = _by_name(train.store.classes, test.store.classes)[test_labels]
    _say_what_is_not_learned(train)
    tested = test.indices[test_labels[test.indices] != UNKNOWN]
    classes = int(train_labels.max()) + 1 if train.store.classes is None else len(train.store.classes)
    return MatchedLabels(from_numpy(train_labels), from_numpy(test_labels), train.indices, tested, classes)


def _say_what_is_not_learned(train: ChosenImages) -> None:
    learned = len(np.unique(_labels(train.store)[train.indices]))
    known = len(train.store.classes or np.unique(_labels(train.store)))
    if learned < known:
        note(
            f"{known - learned} of the {known} classes of {train.store.path} have no image on the list of training "
            "images: their test images count, as wrong answers",
            once=True,
        )


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


def _say_what_matches(train: ChosenImages, test: ChosenImages) -> None:
    learned, tested = _present(train.store.classes, train), _present(test.store.classes, test)
    known = set(train.store.classes or ())
    others = {name: count for name, count in tested.items() if name not in known}
    path, all_of = test.store.path, len(train.store.classes or ())
    if len(others) == len(tested):
        raise UserError(
            f"{path} and {train.store.path} have no class in common: those of the test images are {_listed(tested)}, "
            f"those of the training images {_listed(learned)}"
        )
    note(f"{path} has {len(tested) - len(others)} of the {all_of} classes; they are matched by name", once=True)
    if others:
        note(
            f"{path} has {sum(others.values())} images of {len(others)} classes that {train.store.path} lacks, which "
            f"are left out: {_listed(others)}",
            once=True,
        )


def _present(classes: Sequence[str] | None, chosen: ChosenImages) -> dict[str, int]:
    """The classes of chosen images, with the number of images of each."""
    counts = np.bincount(_labels(chosen.store)[chosen.indices], minlength=len(classes or ()))
    return {name: int(count) for name, count in zip(classes or (), counts, strict=True) if count}


def _listed(classes: Iterable[str]) -> str:
    return shorten(", ".join(classes), 100)


def _labels(images: Store) -> np.ndarray:
    if images.labels is None:
        raise UserError(
            f"{images.path} has no labels, which classification needs: give class folders, a file of labels, or a "
            "store made of them"
        )
    return images.labels
