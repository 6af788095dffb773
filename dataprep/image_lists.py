"""Reads the lists that choose images of a folder, such as the 1% and 10% of ImageNet."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from dataprep.errors import UserError
from dataprep.file_names import FileNames, split_label
from dataprep.text_files import read_lines

SPECIAL = "but a pipe, a socket or a device"
"""What sentences say of a file that is no regular one: reading it may never end."""


def read_list(
    list_file: Path, folder: Path, files: Sequence[str], special: Sequence[str] = (), suffix: str = ""
) -> tuple[str, ...]:
    """The images that a list names, one a line, in its order.

    ``FileNames`` says how an image may be called. Behind it may stand a label, which is not read: labels come from
    where they always do.

    Args:
        list_file: of text.
        folder: of the images.
        files: their paths relative to it.
        special: paths of what is an image by its ending and no regular file.
        suffix: what the list may leave out before the extension of every name.

    Raises:
        UserError: ``list_lines`` raises it, or the list names an image twice, or a line means no image, several, or no
            regular file.
    """
    lines = list_lines(list_file)
    names = FileNames(folder, [*files, *special], suffix)
    found = [_image_of(line, names) for line in lines]
    several = [line for line, file in zip(lines, found, strict=True) if file == ""]
    if several:
        raise UserError(f"{several[0]} in {list_file} may be several images of {folder}: write their paths in it")
    missing = [line for line, file in zip(lines, found, strict=True) if file is None]
    if missing:
        raise UserError(
            f"{len(missing)} of the {len(lines)} entries of {list_file} are no images in {folder}, "
            f"the first being {missing[0]}; paths must be relative to that folder"
        )
    chosen = tuple(file for file in found if file)
    for file in special:
        if file in chosen:
            raise UserError(f"the list {list_file} names {file}, which is no regular file {SPECIAL}: leave it out")
    refuse_repetition(chosen, list_file)
    return chosen


def list_lines(list_file: Path) -> list[str]:
    """The lines of a list, without empty ones and the white space around them.

    Raises:
        UserError: it cannot be read, or has none.
    """
    try:
        lines = read_lines(list_file)
    except OSError as error:
        raise UserError(f"the list {list_file} cannot be read: {error.strerror}") from error
    lines = [line.strip() for line in lines if line.strip()]
    if not lines:
        raise UserError(f"the list {list_file} names no images; write one a line")
    return lines


def refuse_repetition(names: Sequence[str], list_file: Path) -> None:
    """Raises UserError if a list names an image twice."""
    if len(set(names)) != len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise UserError(f"the list {list_file} names {twice} twice; leave one of them out")


def _image_of(line: str, names: FileNames) -> str | None:
    found = names.find(line)
    return names.find(split_label(line)[0]) if found is None else found
