"""Lists the images of a folder, with their labels."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from dataprep.errors import UserError
from dataprep.formats import IMAGE_EXTENSIONS
from dataprep.image_lists import SPECIAL, read_list
from dataprep.labels import AUTO, check_all_labelled, class_names, label_images
from dataprep.notes import note

SYSTEM_FOLDERS = frozenset(
    {"@eadir", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "__macosx", "$recycle.bin", "lost+found"}
    | {"system volume information", "__pycache__"}
)
"""Folders, in lower case, that file servers and operating systems make: with thumbnails, and with what was deleted."""
MOST_VISITS = 8
"""Of one folder, by links to it: folders that all link to each other would have endless paths."""
SHARD_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


@dataclass(frozen=True)
class ImageSource:
    """Images in their order.

    Attributes:
        root: folder that the paths are relative to.
        files: paths with ``/`` between folders.
        labels: class index of each file; None without classes.
        classes: names in the order of the labels; None without classes.
        list_file: the list that chose the files, if there is one.
        choice: how labels were chosen (``labels.label_images``).
        passed_over: how many files were passed over, by their ending.
        remarks: sentences on what was passed over, and on what prevents classes or makes them doubtful.
    """

    root: Path
    files: tuple[str, ...]
    labels: tuple[int, ...] | None
    classes: tuple[str, ...] | None
    list_file: Path | None = None
    choice: str = AUTO
    passed_over: Counter[str] = field(default_factory=Counter)
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert (self.labels is None) == (self.classes is None)
        assert self.labels is None or len(self.labels) == len(self.files)

    def __len__(self) -> int:
        return len(self.files)

    def say_remarks(self) -> None:
        """Prints a note of each remark, once in a program."""
        for remark in self.remarks:
            note(remark, once=True)


def list_images(
    folder: Path, list_file: Path | None = None, labels: str = AUTO, known_classes: Collection[str] = ()
) -> ImageSource:
    """Lists the images of a folder in sorted order, or those that ``list_file`` names, in its order.

    ``labels.class_names`` numbers the classes. A list does not change this, so that all lists of a folder number them
    alike. Passed over are hidden files and folders, SYSTEM_FOLDERS, files without one of IMAGE_EXTENSIONS, and what is
    no regular file: reading a pipe or a device may never end.

    Args:
        folder: of the images.
        list_file: text file that names an image a line (``image_lists.read_list``).
        labels: where labels come from: ``auto``, ``folders``, ``none``, or a file of labels (``labels.label_images``).
        known_classes: names of classes, one of which the only class folder may have.

    Raises:
        UserError: the folder is missing or has no images; or ``read_list`` or ``label_images`` raises it.
    """
    if not folder.is_dir():
        raise UserError(f"the image folder {folder} does not exist or is no folder; give one with images in it")
    found = _look(folder)
    if not found.images and list_shards(folder):
        raise UserError(
            f"{folder} holds WebDataset shards, not image files: `python -m dataprep adopt {folder}` checks them and "
            "writes the index that makes them a store; or unpack them (tar xf) and convert the images"
        )
    if not found.images:
        kinds = " ".join(sorted(extension[1:] for extension in IMAGE_EXTENSIONS))
        others = f"; {_counted(found.passed_over)} were passed over" if found.passed_over else ""
        raise UserError(f"there are no images in {folder}; looked for files ending in {kinds}{others}")
    labelled = label_images(found.images, folder, labels, known_classes)
    left_out = frozenset(labelled.left_out)
    known = tuple(file for file in found.images if file not in left_out)
    remarks = tuple(remark for remark in (*found.remarks(folder), labelled.remark) if remark)
    files = known if list_file is None else read_list(list_file, folder, known, found.special)
    if labelled.classes is None:
        return ImageSource(folder, files, None, None, list_file, labels, found.passed_over, remarks)
    check_all_labelled(labelled.classes, files, folder, labels)
    classes = class_names(labelled.classes, labels)
    ids = {name: index for index, name in enumerate(classes)}
    numbers = tuple(ids[labelled.classes[file]] for file in files)
    return ImageSource(folder, files, numbers, classes, list_file, labels, found.passed_over, remarks)


@dataclass
class _Found:
    """What lies in a folder.

    Attributes:
        images: their relative paths, sorted folder by folder.
        others: how many files are no images by their ending, by the ending.
        special: relative paths of what is an image by its ending and no regular file, sorted.
        system: how many images lie in system folders, by the folder's name.
        again: of folders that several paths lead to, the first path, by the others.
    """

    images: tuple[str, ...] = ()
    others: Counter[str] = field(default_factory=Counter)
    special: tuple[str, ...] = ()
    system: Counter[str] = field(default_factory=Counter)
    again: dict[str, str] = field(default_factory=dict)

    @property
    def passed_over(self) -> Counter[str]:
        """How many files are passed over, by their ending, without those of system folders."""
        return self.others + Counter(_ending(file) for file in self.special)

    def remarks(self, folder: Path) -> Iterator[str]:
        if self.others:
            yield f"{_counted(self.others)} in {folder} were passed over: no endings of images"
        if self.special:
            more = f", like {len(self.special) - 1} more" if len(self.special) > 1 else ""
            yield f"{self.special[0]} in {folder} is no regular file {SPECIAL}, and was passed over{more}"
        for other, one in sorted(self.again.items())[:1]:
            more = f", and {len(self.again) - 1} more such links" if len(self.again) > 1 else ""
            yield f"{other} of {folder} is the folder {one}, whose images so count again{more}"
        for name, count in sorted(self.system.items()):
            yield f"{count} images in folders {name} of {folder} were passed over: a system makes such folders"


def list_shards(folder: Path) -> list[str]:
    """Relative paths of the WebDataset shards in a folder and the folders in it, compressed ones too, sorted.

    Of links to one shard, or to its folder, the first counts.
    """
    names = sorted(str(path) for path, _ in _files(folder) if path.name.lower().endswith(SHARD_ENDINGS))
    first = {os.path.realpath(folder / name): name for name in reversed(names)}
    return sorted(first.values())


def _look(folder: Path) -> _Found:
    found, images, special = _Found(), list[PurePosixPath](), list[PurePosixPath]()
    for path, regular in _files(folder):
        system = next((part for part in path.parts[:-1] if part.lower() in SYSTEM_FOLDERS), None)
        is_image = path.suffix.lower() in IMAGE_EXTENSIONS
        if system is not None:
            found.system[system] += is_image
        elif is_image:
            (images if regular else special).append(path)
        else:
            found.others[_ending(path.name)] += 1
    found.images, found.special = _sorted(images), _sorted(special)
    found.again = _same_folders(folder, {path.parent for path in images})
    found.system = +found.system
    return found


def _same_folders(root: Path, folders: set[PurePosixPath]) -> dict[str, str]:
    """Of folders that are one, the first, by the names of the others."""
    first: dict[str, str] = {}
    same = {}
    for name in sorted(map(str, folders)):
        one = first.setdefault(os.path.realpath(root / name), name)
        if one != name:
            same[name] = one
    return same


def _sorted(paths: list[PurePosixPath]) -> tuple[str, ...]:
    """Folder by folder."""
    return tuple(str(path) for path in sorted(paths, key=lambda path: path.parts))


def _files(folder: Path) -> Iterator[tuple[PurePosixPath, bool]]:
    """Relative paths of all files that are not hidden; links to folders are followed, but not in a circle.

    A folder to which several links lead is looked at again for each, at most MOST_VISITS times.

    Beside each is whether it is a regular file, after following links. A link that leads nowhere counts as one: that
    the file cannot be read says more.
    """
    waiting: list[tuple[PurePosixPath, frozenset[str]]] = [(PurePosixPath(), frozenset())]
    visits = Counter[str]()
    while waiting:
        inside, above = waiting.pop()
        real = os.path.realpath(folder / inside)
        if real in above or visits[real] == MOST_VISITS:
            continue
        visits[real] += 1
        above = above | {real}
        folders = []
        for entry in _entries(folder / inside):
            if _answers(entry.is_dir):
                folders.append(entry.name)
            else:
                yield inside / entry.name, _answers(entry.is_file) or not os.path.exists(entry.path)
        waiting.extend((inside / name, above) for name in sorted(folders, reverse=True))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return [entry for entry in found if not entry.name.startswith(".")]
    except OSError as error:
        raise UserError(
            f"the folder {folder} cannot be read: {error.strerror}; make it readable or move it away"
        ) from error


def _answers(question: Callable[[], bool]) -> bool:
    """Of a link in a circle, for example, nothing can be said."""
    try:
        return question()
    except OSError:
        return False


def _ending(file: str) -> str:
    return PurePosixPath(file).suffix.lower() or "no ending"


def _counted(endings: Counter[str]) -> str:
    """Such as ``8 files (5 .heic, 3 .txt)``."""
    kinds = ", ".join(f"{count} {ending}" for ending, count in endings.most_common())
    return f"{endings.total()} file{'s' * (endings.total() > 1)} ({kinds})"
