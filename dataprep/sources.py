"""Lists the images to convert: from class folders, or from a flat or nested folder without labels."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dataprep.errors import UserError
from dataprep.formats import IMAGE_EXTENSIONS


@dataclass(frozen=True)
class ImageSource:
    """Images in their order.

    Attributes:
        root: folder that the paths are relative to.
        files: paths with ``/`` between folders.
        labels: class index of each file; None without classes.
        classes: names in the order of the labels; None without classes.
        list_file: the list that chose the files, if there is one.
    """

    root: Path
    files: tuple[str, ...]
    labels: tuple[int, ...] | None
    classes: tuple[str, ...] | None
    list_file: Path | None = None

    def __post_init__(self) -> None:
        assert (self.labels is None) == (self.classes is None)
        assert self.labels is None or len(self.labels) == len(self.files)

    def __len__(self) -> int:
        return len(self.files)


def list_images(folder: Path, list_file: Path | None = None) -> ImageSource:
    """Lists the images of a folder in sorted order, or those that ``list_file`` names, in its order.

    If every image lies exactly one folder deep, and in at least two folders, then these folders are classes, numbered
    by sorted name. A list does not change this, so that all lists of a folder number its classes alike. Hidden files
    and folders, and files without one of IMAGE_EXTENSIONS, are ignored.

    Args:
        folder: of the images.
        list_file: text file with one path a line, relative to ``folder``.

    Raises:
        UserError: the folder is missing or has no images; or the list cannot be read, is empty, names an image twice,
            or names a file that is not an image in the folder.
    """
    if not folder.is_dir():
        raise UserError(f"the image folder {folder} does not exist or is no folder; give one with images in it")
    found = _walk(folder)
    if not found:
        kinds = " ".join(sorted(extension[1:] for extension in IMAGE_EXTENSIONS))
        raise UserError(f"there are no images in {folder}; looked for files ending in {kinds}")
    classes = _class_names(found)
    files = found if list_file is None else _read_list(list_file, folder, frozenset(found))
    if classes is None:
        return ImageSource(folder, files, None, None, list_file)
    ids = {name: index for index, name in enumerate(classes)}
    labels = tuple(ids[file.split("/", 1)[0]] for file in files)
    return ImageSource(folder, files, labels, classes, list_file)


def _walk(folder: Path) -> tuple[str, ...]:
    """Relative paths of all images, sorted folder by folder; links to folders are followed, each folder once."""
    found: list[PurePosixPath] = []
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = PurePosixPath(Path(parent).relative_to(folder).as_posix())
        found.extend(inside / name for name in names if _is_image(name))
    return tuple(str(path) for path in sorted(found, key=lambda path: path.parts))


def _is_image(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_EXTENSIONS


def _class_names(files: tuple[str, ...]) -> tuple[str, ...] | None:
    if any(file.count("/") != 1 for file in files):
        return None
    names = sorted({file.split("/", 1)[0] for file in files})
    return tuple(names) if len(names) > 1 else None


def _read_list(list_file: Path, folder: Path, known: frozenset[str]) -> tuple[str, ...]:
    try:
        lines = list_file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError as error:
        raise UserError(f"the list {list_file} cannot be read: {error.strerror}") from error
    files = tuple(str(PurePosixPath(line.strip())) for line in lines if line.strip())
    if not files:
        raise UserError(f"the list {list_file} names no images; write one path a line, relative to {folder}")
    missing = [file for file in files if file not in known]
    if missing:
        raise UserError(
            f"{len(missing)} of the {len(files)} entries of {list_file} are no images in {folder}, "
            f"the first being {missing[0]}; paths must be relative to that folder"
        )
    if len(set(files)) != len(files):
        twice = Counter(files).most_common(1)[0][0]
        raise UserError(f"the list {list_file} names {twice} twice; leave one of them out")
    return files
