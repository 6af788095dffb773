"""Files and folders that appear under their name only when they are whole and on the disk.

They are written under a hidden name in the same folder, synced, and renamed, which a file system does at once.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dataprep.errors import UserError

_NOT_SUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EROFS)


@contextmanager
def unfinished(out: Path) -> Iterator[Path]:
    """A hidden name beside ``out`` to write a file or a folder under; whatever stands there at the end is removed.

    Raises:
        UserError: the system refused to write, as on a full disk.
    """
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield partial
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}; free space or choose another place") from error
    finally:
        _remove(partial)


@contextmanager
def atomic_file(out: Path) -> Iterator[BinaryIO]:
    """A file to write into, which becomes ``out`` if the block ends well, in place of what stood there.

    Raises:
        UserError: the system refused to write; what stood at ``out`` is still there.
    """
    with unfinished(out) as partial:
        with partial.open("wb") as file:
            yield file
        put_in_place(partial, out)


def write_text(out: Path, text: str) -> None:
    """Writes a whole text file, as ``atomic_file`` does."""
    with atomic_file(out) as file:
        file.write(text.encode())


def put_in_place(partial: Path, out: Path) -> None:
    """Renames a file to ``out``, once its content is on the disk."""
    sync(partial)
    partial.replace(out)
    sync(out.parent)


def put_folder_in_place(partial: Path, out: Path) -> None:
    """Renames a folder, whose files are synced, to ``out``; one that stands there goes when the new one has its name.

    (A file can replace another in one step; of folders only an empty one can be replaced so.)
    """
    sync(partial)
    old = out.with_name(f".{out.name}.{os.getpid()}.old")
    try:
        if out.exists():
            out.rename(old)
        partial.rename(out)
        sync(out.parent)
    finally:
        if old.exists() and not out.exists():
            old.rename(out)
        _remove(old)


def sync(path: Path) -> None:
    """Waits until a file, or the list of a folder's entries, is on the disk, where the file system can tell."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:  # some network and FUSE file systems sync no folders
            raise
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # its folder could not be made or entered, which has been reported
