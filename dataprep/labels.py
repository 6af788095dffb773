"""Which class each image of a folder has: by class folders, by a file of labels, or none.

``auto`` takes class folders where every image lies exactly one folder deep, in at least two folders, or in one that has
the name of a class known from elsewhere; ``folders`` takes the first folder of each path, however deep the image lies;
``none`` takes no labels; anything else is a file of labels.
"""

import re
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from dataprep.command_line import with_home
from dataprep.errors import UserError
from dataprep.file_names import FileNames, split_columns, split_label
from dataprep.formats import IMAGE_EXTENSIONS
from dataprep.text_files import read_lines

CHOICES = AUTO, FOLDERS, NONE = "auto", "folders", "none"
OPTION = "--labels {0}; in training --data.labels {0}, in evaluations also --train_labels and --test_labels {0}"

HEADINGS = ("label", "labels", "class", "class_name", "classname", "category", "target", "category_id", "class_id")
"""How headings of files of labels call the column of labels, the likeliest first."""

_WHOLE = re.compile(r"(\d+)\.0+")

_BOXES = re.compile(r"(\S+)(?: \d+ \d+ \d+ \d+)+")  # ImageNet's own list of validation labels has boxes behind them


class Labelled(NamedTuple):
    """Images with their classes.

    Attributes:
        classes: the class of each image, by its path; None without classes. A file of labels may leave images out.
        left_out: images that a choice of labels leaves out.
        remark: a sentence on what prevents classes, or makes them doubtful; empty if nothing does.
    """

    classes: dict[str, str] | None
    left_out: tuple[str, ...] = ()
    remark: str = ""


def label_images(files: Sequence[str], folder: Path, choice: str, known: Collection[str] = ()) -> Labelled:
    """Gives every image its class.

    Args:
        files: paths relative to ``folder``, with ``/`` between folders.
        folder: of the images.
        choice: ``auto``, ``folders``, ``none``, or the path of a file of labels.
        known: names of classes; a single class folder is one if it has one of these names.

    Raises:
        UserError: class folders are asked for and there are too few of them; or the file of labels cannot be read, is
            damaged, or gives an image two labels.
    """
    if not choice:
        raise UserError(f"the choice of labels is empty: give {', '.join(CHOICES)}, or a file of labels")
    choice = with_home(choice)
    if choice == AUTO:
        obstacle = _obstacle(files, folder, known)
        return Labelled(None, remark=obstacle) if obstacle else Labelled({file: _first(file) for file in files})
    if choice == NONE:
        return Labelled(None)
    if choice != FOLDERS:
        found = _read_labels(Path(choice), files, folder)
        same = (
            f"{choice} gives all images one label, {next(iter(found.values()), '')}; of several columns the one is "
            f"taken that a heading calls {HEADINGS[0]}, else the second"
        )
        return Labelled(found, remark=same if len(found) > 1 and len(set(found.values())) == 1 else "")
    inside = [file for file in files if "/" in file]
    outside = tuple(file for file in files if "/" not in file)
    if not _are_classes({_first(file) for file in inside}, known):
        raise UserError(f"{folder} has fewer than two folders with images, which labels by folders need")
    remark = f"{_count(outside)} in {folder} itself, in no class folder, are left out: {outside[0]}" if outside else ""
    return Labelled({file: _first(file) for file in inside}, outside, remark)


def check_all_labelled(classes: dict[str, str], files: Sequence[str], folder: Path, choice: str) -> None:
    """Raises UserError if an image has no label, as happens with a file of labels."""
    without = [file for file in files if file not in classes]
    if without:
        raise UserError(
            f"{choice} has no label for {_count(without)} of {len(files)} in {folder}, such as {without[0]}; "
            "its paths must be relative to that folder, or names that only one image has"
        )


def class_names(classes: dict[str, str], choice: str) -> tuple[str, ...]:
    """The names in the order of their numbers: sorted; of a file of labels, if all are whole numbers, by value."""
    names = sorted(set(classes.values()))
    by_value = choice not in CHOICES and all(name.isdecimal() for name in names)
    return tuple(sorted(names, key=int) if by_value else names)


def as_whole(label: str) -> str:
    """A label that is a whole number without its ``.0``, which a program adds that takes labels for floats."""
    whole = _WHOLE.fullmatch(label)
    return whole[1] if whole else label


def _first(file: str) -> str:
    return file.split("/", 1)[0]


def _count(files: Sequence[str]) -> str:
    return "1 image" if len(files) == 1 else f"{len(files)} images"


def _are_classes(folders: Collection[str], known: Collection[str]) -> bool:
    """Whether folders may be classes: at least two, or a single one that has the name of a class."""
    return len(folders) > 1 or (len(folders) == 1 and set(folders) <= set(known))


def _obstacle(files: Sequence[str], folder: Path, known: Collection[str]) -> str:
    """Says why folders are not taken as classes; empty if they are."""
    follows = f"the {_count(files)} of {folder} are taken without labels"
    from_file = f"a file of labels ({OPTION.format('FILE')}) gives them some"
    flat = [file for file in files if "/" not in file]
    if len(flat) == len(files):
        return f"{folder} has no class folders: {follows}; {from_file}"
    by_first = f"`folders` as choice of labels ({OPTION.format(FOLDERS)}) takes the first folder of each path"
    if flat:
        return f"{flat[0]} lies in no class folder: {follows}; move it away, or {by_first} and leaves it out"
    if not _are_classes({_first(file) for file in files}, known):
        return f"all images lie in one folder, {_first(files[0])}: {follows}; {from_file}"
    deep = next((file for file in files if file.count("/") > 1), None)
    return f"{deep} lies deeper than in a class folder: {follows}; {by_first}" if deep else ""


def _read_labels(path: Path, files: Sequence[str], folder: Path) -> dict[str, str]:
    """Reads a file with a path and a label a line; a heading, and lines of files that are not there, are passed over.

    Between path and label stands a tab, a comma or white space; what follows a second tab or comma is ignored, but a
    heading may say which column holds the labels (HEADINGS). ``FileNames`` says how else an image may be called.
    """
    try:
        lines = read_lines(path)
    except OSError as error:
        raise UserError(f"the file of labels {path} cannot be read: {error.strerror}") from error
    names = FileNames(folder, files)
    found: dict[str, str] = {}
    column = _label_column(lines, names)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, label = split_label(line, column)
        boxes = _BOXES.fullmatch(label)
        label = boxes[1] if boxes else label
        if PurePosixPath(label).suffix.lower() in IMAGE_EXTENSIONS and names.find(label):
            raise UserError(f"line {number} of {path} has {label} in its label's place; leave the first column out")
        if not label:
            raise UserError(f"line {number} of {path} has no label; write a path, a tab and a label a line")
        file = names.find(name)
        if file is None:
            continue
        if not file:
            raise UserError(f"line {number} of {path}: several images of {folder} are called {name}; give their paths")
        label = as_whole(label)
        if found.setdefault(file, label) != label:
            raise UserError(f"{path} gives {file} two labels, {found[file]} and {label}; leave one")
    return found


def _label_column(lines: Sequence[str], names: FileNames) -> int:
    """The column of labels by the heading, if the first line is one; else the second, 1."""
    first = next((line for line in lines if line.strip()), "")
    heading = [each.strip().lower() for each in split_columns(first)]
    if len(heading) < 3 or not heading[0] or PurePosixPath(heading[0]).suffix in IMAGE_EXTENSIONS:
        return 1
    if heading[1] in HEADINGS or names.find(split_label(first)[0]) is not None:
        return 1
    return next((heading.index(each) for each in HEADINGS if each in heading[1:]), 1)
