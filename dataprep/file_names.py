"""Finds images by what lists call them: by their paths, or by less where only one image is meant."""

import csv
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath


class FileNames:
    """The images of a folder, by all that may stand for one of them.

    That is its path; the path behind the folder's own or behind the folder's name; the file's name, or its first folder
    and the file's name (``class/name`` of ``class/images/name``). Each may lack the extension, and with it the suffix.

    Args:
        folder: of the images.
        files: their paths relative to ``folder``, with ``/`` between folders.
        suffix: what stands before the extension of every name, such as ``_leftImg8bit``.
    """

    def __init__(self, folder: Path, files: Sequence[str], suffix: str = ""):
        self._exact, self._suffix = frozenset(files), suffix
        self._prefixes = (f"{folder}/", f"{folder.resolve()}/", f"{folder.resolve().name}/")

    @cached_property
    def _named(self) -> dict[str, str]:
        named: dict[str, str] = {}
        for file in self._exact:
            first, _, inside = file.partition("/")
            name = file.rpartition("/")[2]
            whole = (file, f"{first}/{name}" if inside else name, name)
            stems = [_without_extension(each) for each in whole]
            for each in {*whole, *stems, *(stem.removesuffix(self._suffix) for stem in stems)}:
                named[each] = "" if each in named else file
        return named

    def find(self, name: str) -> str | None:
        """The path of the image that is meant; empty if it may be several, None if it is none."""
        name = str(PurePosixPath(name))
        names = [name, *(name.removeprefix(prefix) for prefix in self._prefixes if name.startswith(prefix))]
        if path := next((each for each in names if each in self._exact), None):
            return path
        found = [self._named.get(each) for each in names]
        return next((file for file in found if file is not None), None)


def _without_extension(name: str) -> str:
    start, _, last = name.rpartition("/")
    stem = last.rpartition(".")[0] or last
    return f"{start}/{stem}" if start else stem


def split_label(line: str, column: int = 1) -> tuple[str, str]:
    """Splits a line into a name and a label: behind a tab, a comma or else the last white space.

    Of several columns, with tabs or commas between, ``column`` is that of the label; the first has number 0.
    """
    if "\t" in line or "," in line:
        columns = split_columns(line)
        return columns[0].strip(), columns[column].strip() if column < len(columns) else ""
    name, _, label = line.strip().rpartition(" ")
    return (name.strip(), label) if name else (label, "")


def split_columns(line: str) -> list[str]:
    """The columns of a line, with tabs or else commas between, perhaps quoted; the line itself if that cannot be."""
    try:
        return next(csv.reader([line], delimiter="\t" if "\t" in line else ","))
    except (csv.Error, StopIteration):
        return [line]
