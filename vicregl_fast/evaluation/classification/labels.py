"""The classes of training and test images, brought together by their names."""

import numpy as np
from torch import Tensor, from_numpy

from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.data.store import Store
from vicregl_fast.philox import permutation

BATCHNORM_IMAGES = 256
"""Number of training images, at most, on which an untrained network's BatchNorm statistics are re-estimated."""


def batchnorm_sample(seed: int, images: int) -> np.ndarray:
    """The training images, of so many, on which they are re-estimated: int64 [n]."""
    return permutation(seed, 0, images)[:BATCHNORM_IMAGES]


def percent(correct_m: Tensor) -> float:
    """The share of answers that are right, bool [m], in percent."""
    return 100 * correct_m.double().mean().item()


def majority_accuracy(train_n: Tensor, test_m: Tensor) -> float:
    """The accuracy in percent of always answering the commonest training class."""
    return percent(test_m == train_n.bincount().argmax())


def matched_labels(train: Store, test: Store) -> tuple[Tensor, Tensor]:
    """Returns the labels of both, int64 [n] and [m], in the numbering of the training images.

    Classes are matched by name where both know the names, else by number; a note says so, or that the test images have
    only some of them.

    Raises:
        UserError: images have no labels, or the test images have a class that the training images lack.
    """
    train_n, test_m = _labels(train), _labels(test)
    if train.classes is None or test.classes is None:
        nameless = train.path if train.classes is None else test.path
        if test_m.max() > train_n.max():
            raise UserError(
                f"{nameless} has no names of classes, and {test.path} has the label {test_m.max()}, where the largest "
                f"of {train.path} is {train_n.max()}: number both alike"
            )
        note(f"{nameless} has no names of classes: labels of training and test images are matched by number", once=True)
        return from_numpy(train_n), from_numpy(test_m)
    if train.classes == test.classes:
        return from_numpy(train_n), from_numpy(test_m)
    numbers = {name: number for number, name in enumerate(train.classes)}
    odd = [name for name in test.classes if name not in numbers]
    if odd:
        raise UserError(
            f"{test.path} has the class {odd[0]!r}, which {train.path} lacks: give the test images no other classes"
        )
    note(
        f"{test.path} has {len(test.classes)} of the {len(train.classes)} classes; they are matched by name", once=True
    )
    return from_numpy(train_n), from_numpy(np.array([numbers[name] for name in test.classes], np.int64)[test_m])


def _labels(images: Store) -> np.ndarray:
    if images.labels is None:
        raise UserError(
            f"{images.path} has no labels, which classification needs: give class folders, a file of labels, or a "
            "store made of them"
        )
    return images.labels
