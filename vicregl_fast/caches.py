"""Where libraries keep what they compile, on machines where their usual folders cannot be written.

In a container with read-only code and a user without a home folder, Numba and Triton end with an error, Matplotlib
warns at every start, and older torch cannot name its folder.
"""

import atexit
import getpass
import os
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

PACKAGE = Path(__file__).parent


def use_writable_caches() -> None:
    """Points each cache that cannot be written to a private temporary folder, before any of the libraries is imported.

    Caches that can be written stay where they are. What is chosen is set in the environment, which child processes
    inherit.
    """
    if missing := _unwritable():
        folder = _private_folder()
        os.environ.update({name: str(folder / name.partition("_")[0].lower()) for name in missing})


def _unwritable() -> list[str]:
    """The environment variables of the caches that cannot be written where they are."""
    home = os.path.expanduser("~")  # stays "~" for a user who has none
    cache, config = (os.environ.get(f"XDG_{name}_HOME", f"{home}/.{name.lower()}") for name in ("CACHE", "CONFIG"))
    beside_code = {file.parent / "__pycache__" for file in PACKAGE.rglob("*.py")}
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    writable = {
        # Numba goes on to the next of these folders if it cannot write one; the others take the folder that they have.
        "NUMBA_CACHE_DIR": (bool(chosen) and _can_be_made(str(chosen)))
        or all(map(_can_be_made, beside_code))
        or _can_be_made(f"{cache}/numba"),
        "MPLCONFIGDIR": "MPLCONFIGDIR" in os.environ or _can_be_made(f"{config}/matplotlib"),
        "TRITON_CACHE_DIR": "TRITON_CACHE_DIR" in os.environ
        or _can_be_made(os.path.join(os.environ.get("TRITON_HOME", home), ".triton", "cache")),
        "TORCHINDUCTOR_CACHE_DIR": "TORCHINDUCTOR_CACHE_DIR" in os.environ or _user_has_a_name(),
    }
    return [name for name, can_be_written in writable.items() if not can_be_written]


def _can_be_made(folder: str | Path) -> bool:
    """Whether this process may write into a folder, after making it if need be."""
    if str(folder).startswith("~"):
        return False
    path = Path(folder)
    nearest = next(each for each in (path, *path.parents) if os.path.lexists(each))
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK, effective_ids=True)


def _user_has_a_name() -> bool:
    try:
        getpass.getuser()
    except (KeyError, OSError):
        return False
    return True


def _private_folder() -> Path:
    """A folder that only this user can read or write: the same at each start, unless another user took its name."""
    try:
        folder = Path(tempfile.gettempdir(), f"vicregl_fast-{os.getuid()}")
    except FileNotFoundError:
        print("error: no folder can be written, not even a temporary one: set TMPDIR to one that can", file=sys.stderr)
        raise SystemExit(2) from None
    with suppress(FileExistsError):
        folder.mkdir(0o700)
    found = folder.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
        return folder
    folder = Path(tempfile.mkdtemp(prefix="vicregl_fast-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
