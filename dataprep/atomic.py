"""Writes files and folders so that they appear under their name only once they are complete and on the disk.

They are written under a hidden name in the same folder, synced to the disk, and renamed, which a file system does in
one step. The hidden name says which process writes, so that what a killed process has left can be told and removed.
"""

import ctypes
import errno
import itertools
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dataprep.errors import UserError
from dataprep.notes import note
from dataprep.process_identity import ProcessIdentity, this_machine, this_process

_HIDDEN = re.compile(r"\.(?P<name>.+?)\.(?P<process>\d+|[0-9a-f]+-\d+-\d+)\.(?P<kind>partial|old)")
_DESCRIPTOR = re.compile(r"/proc/(?P<process>[^/]+)/fd/(?P<number>\d+)")
_TOO_MANY = (errno.EMFILE, errno.ENFILE)  # open files
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux
_NOT_SUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EROFS)


@contextmanager
def unfinished(out: Path) -> Iterator[Path]:
    """Yields a hidden path beside ``out`` at which to write a file or a folder.

    Missing parent folders are made, and what killed processes have left of ``out`` is removed (``remove_leftovers``).
    Whatever still lies at the hidden path when the block ends is removed.

    Raises:
        UserError: the system refused to write, for example because the disk is full.
    """
    partial = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(out.parent, out.name)
        yield (partial := _hidden(out, "partial"))
    except OSError as error:
        cure = "raise the limit with ulimit -n" if error.errno in _TOO_MANY else "free space or choose another place"
        raise UserError(f"cannot write {out}: {error.strerror or error}; {cure}") from error
    finally:
        if partial is not None:
            _remove(partial)


@contextmanager
def atomic_file(out: Path) -> Iterator[BinaryIO]:
    """Yields a binary file to write; when the block ends without an error, it becomes ``out``.

    A file that is already at ``out`` stays there until then. A link stays one: what it leads to is written. What is no
    file, such as a pipe, ``/dev/null`` or ``/dev/stdout``, is written to as it is.

    Raises:
        UserError: the system refused to write.
    """
    if is_special(out):
        with tempfile.TemporaryFile() as file:
            yield file
            file.seek(0)
            _copy_to_special(file, out)
        return
    place = Path(os.path.realpath(out)) if os.path.islink(out) else out
    with unfinished(place) as partial:
        with partial.open("wb") as file:
            yield file
        put_in_place(partial, place)


def is_special(path: Path) -> bool:
    """Whether a path is of no file and no folder: of a device, a pipe, a socket, or of what this program has open."""
    is_plain = os.path.isfile(path) or os.path.isdir(path)
    return _descriptor(path) is not None or (os.path.exists(path) and not is_plain)


def _descriptor(path: Path) -> int | None:
    """The number that names such as /dev/stdout and /dev/fd/3 mean, of what this program has open."""
    names = [os.path.join(os.path.realpath(path.absolute().parent), path.name)]
    if os.path.islink(path):
        names.append(os.readlink(path))
    found = next((found for name in names if (found := _DESCRIPTOR.fullmatch(name))), None)
    return int(found["number"]) if found and found["process"] in ("self", str(os.getpid())) else None


def _copy_to_special(file: BinaryIO, path: Path) -> None:
    descriptor = _descriptor(path)
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # what was printed before comes before
        # A descriptor goes on where it stands.
        with path.open("ab") if descriptor is None else os.fdopen(os.dup(descriptor), "wb") as special:
            shutil.copyfileobj(file, special)
    except OSError as error:
        raise UserError(f"cannot write to {path}: {error.strerror or error}") from error


def write_text(out: Path, text: str) -> None:
    """Writes a text file in UTF-8, with the guarantees of ``atomic_file``."""
    with atomic_file(out) as file:
        file.write(text.encode())


def put_aside(path: Path) -> Path:
    """Renames a file that is in the way, but may hold what its owner still wants; returns its new path.

    That is NAME.old, or the first of NAME.old2, NAME.old3 and so on that is free.
    """
    names = (f"{path.name}.old{number if number > 1 else ''}" for number in itertools.count(1))
    return path.rename(next(free for name in names if not os.path.lexists(free := path.with_name(name))))


def put_in_place(partial: Path, out: Path) -> None:
    """Waits until the content of the file ``partial`` is on the disk, then renames it to ``out``."""
    put_all_in_place({out: partial})


def put_all_in_place(partials: Mapping[Path, Path]) -> None:
    """Waits until the content of some files of one folder is on the disk, then renames one right after another.

    Args:
        partials: the files, by the names that they get, in this order.
    """
    for partial in partials.values():
        sync(partial)
    for out, partial in partials.items():
        partial.replace(out)
    _confirm(out)


def put_folder_in_place(partial: Path, out: Path) -> None:
    """Waits until the folder ``partial`` and all that is in it are on the disk, then renames it to ``out``.

    A rename can replace a file or an empty folder, but not a folder with content. What is already at ``out`` therefore
    changes places with ``partial`` and is removed. Where the file system cannot do that in one step, it is moved aside
    first. It is removed once the new folder has the name, and moved back if that fails; if the process is killed in
    between, ``remove_leftovers`` moves it back.
    """
    for folder, _, files in os.walk(partial):
        for name in files:
            sync(Path(folder, name))
        sync(Path(folder))
    if _exchange(partial, out):
        _confirm(out)
        _remove(partial)
        return
    old = _hidden(out, "old")
    try:
        if os.path.lexists(out):
            out.rename(old)
        partial.rename(out)
        _confirm(out)
    finally:
        if os.path.lexists(old) and not os.path.lexists(out):
            old.rename(out)
        _remove(old)


def remove_leftovers(folder: Path, name: str | None = None, elsewhere: bool = False) -> None:
    """Removes the hidden files and folders that killed processes have left in ``folder``.

    What a process of this machine still writes stays. A folder that had been moved aside for a new one goes back to its
    name if nothing is there.

    Args:
        folder: where to look; it need not exist.
        name: only what was to become the file or folder of this name; None for all.
        elsewhere: also remove what processes of other machines have written, of which it is not known whether they run.
    """
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return  # it is not there, or may not be listed; writing to it says what is wrong
    for path in paths:
        hidden = _HIDDEN.fullmatch(path.name)
        if hidden is None or name not in (None, hidden["name"]):
            continue
        runs = _writer(hidden["process"]).runs()
        if runs or (runs is None and not elsewhere):
            continue
        if hidden["kind"] == "old" and not os.path.lexists(path.with_name(hidden["name"])):
            path.rename(path.with_name(hidden["name"]))
        else:
            _remove(path)


def _exchange(first: Path, second: Path) -> bool:
    """Lets two paths change places in one step; False where one is not there or the system cannot do it."""
    try:
        rename = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):  # another system than Linux, or an old C library
        return False
    return rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0


def _hidden(out: Path, kind: str) -> Path:
    return out.with_name(f".{out.name}.{this_process()}.{kind}")


def _writer(text: str) -> ProcessIdentity:
    """The process that a hidden name names; earlier versions gave its number on this machine alone."""
    if text.isdecimal():
        return ProcessIdentity(this_machine(), int(text), 0)
    return ProcessIdentity.parse(text)


def _confirm(out: Path) -> None:
    """Waits until the new name ``out`` is on the disk. If the disk fails at that, what was written is still there."""
    try:
        sync(out.parent)
    except OSError as error:
        note(f"{out} is written whole, but the disk reports {error.strerror or error}: see whether it is sound")


def sync(path: Path) -> None:
    """Waits until a file's content, or a folder's list of entries, is on the disk, if the file system supports that."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:  # some network and FUSE file systems cannot sync folders
            raise
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    except OSError:
        return  # its folder could not be made or entered, which ``unfinished`` reports
