"""Files and folders that appear under their name only when they are whole and on the disk."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dataprep.errors import UserError


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


def sync(path: Path) -> None:
    """Waits until a file, or the list of a folder's entries, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_folder(new: Path, out: Path) -> None:
    """Renames a folder to ``out``; one that stands there goes when the new one has its name.

    (A file can replace another in one step; of folders only an empty one can be replaced so.)
    """
    old = out.with_name(f".{out.name}.{os.getpid()}.old")
    try:
        if out.exists():
            out.rename(old)
        new.rename(out)
        sync(out.parent)
    finally:
        if old.exists() and not out.exists():
            old.rename(out)
        _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # its folder could not be made or entered, which has been reported
