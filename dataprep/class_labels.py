"""Labels of stores that other programs wrote: their numbers, and the names of the classes."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dataprep.errors import UserError
from dataprep.labels import as_whole
from dataprep.manifest import UNLABELLED
from dataprep.text_files import read_lines

LARGEST_LABEL = 999_999
NUMBER = re.compile(r"[+-]?\d{1,18}")
WITHOUT_LABELS = "adopt the store without labels (--label_field none)"


def read_class_names(file: Path) -> tuple[str, ...]:
    """The names of classes, one a line, in the order of their labels.

    Raises:
        UserError: the file cannot be read, is empty, or has an empty line between names.
    """
    try:
        names = [line.strip() for line in "\n".join(read_lines(file)).rstrip().split("\n")]
        "".join(names).encode()
    except (OSError, UnicodeError) as error:
        raise UserError(f"the file of classes {file} cannot be read: {error}") from error
    if not names or "" in names:
        raise UserError(f"the file of classes {file} must have one name on every line, that of label 0 first")
    return tuple(names)


def number_labels(
    texts: Sequence[str | None], classes: tuple[str, ...] | None
) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Turns the texts of labels into numbers. Texts that are no numbers are names of classes.

    Args:
        texts: of n labels; None for none.
        classes: the names of the classes, if they are known; else names are numbered in their sorted order.

    Returns:
        The labels, int64 [n], UNLABELLED for none, and the names of the classes, or None if they are not known.

    Raises:
        UserError: some texts are numbers and others names, or a name is not among ``classes``.
    """
    texts = [None if text is None else as_whole(text) for text in texts]
    given = {text for text in texts if text is not None}
    names = sorted(text for text in given if not NUMBER.fullmatch(text))
    if not names:
        return np.array([UNLABELLED if text is None else int(text) for text in texts], np.int64), classes
    if classes is None and len(names) < len(given):
        number = min(given.difference(names))
        raise UserError(
            f"some labels are numbers, such as {number}, and others names, such as {names[0]!r}; "
            f"name all classes with --classes FILE, or {WITHOUT_LABELS}"
        )
    known = tuple(names) if classes is None else classes
    numbers: dict[str | None, int] = {name: number for number, name in enumerate(known)}
    unknown = sorted(given.difference(known))
    if unknown or len(numbers) < len(known):
        what = f"{unknown[0]!r} is a label" if unknown else "labels are names"
        raise UserError(f"{what}, so that --classes must name each class as its label does, and once")
    numbers[None] = UNLABELLED
    return np.array([numbers[text] for text in texts], np.int64), known


def count_labels(labels: np.ndarray, classes: tuple[str, ...] | None) -> tuple[int, ...] | None:
    """How many images have each label; None where none of the n images has one.

    Args:
        labels: int64 [n]; negative for none.
        classes: the names of the classes, if they are known.

    Raises:
        UserError: a label has no name, or is too large to number a class, or there are names but no labels.
    """
    known = labels[labels >= 0]
    if not len(known):
        if classes is not None:
            raise UserError("the images have no labels; leave --classes out")
        return None
    largest = int(known.max())
    if classes is not None and largest >= len(classes):
        raise UserError(f"the largest label is {largest}, and --classes names {len(classes)} classes, from 0 on")
    if largest > LARGEST_LABEL:
        raise UserError(f"the label {largest} is too large to number a class; {WITHOUT_LABELS}")
    return tuple(np.bincount(known, minlength=0 if classes is None else len(classes)).tolist())
