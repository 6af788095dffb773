"""The errors that a user can correct, and how a program ends when one occurs."""

import errno
import io
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import shorten
from typing import Literal, get_args

OnError = Literal["fail", "skip"]
"""What happens at an image that does not decode: the program ends with an error, or leaves the image out."""
ON_ERROR: tuple[OnError, ...] = get_args(OnError)

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
TELLING = 3.0
"""Seconds that another process has for printing its error before this one ends."""


class UserError(ValueError):
    """A wrong option, path, store, checkpoint or mask. Its one sentence says what is wrong, where, and what to do."""


class UnreadableImage(Exception):
    """A file is not an image that can be decoded completely; the message is the reason."""


class ToldElsewhere(UserError):
    """A UserError whose sentence another process of the program prints."""


@contextmanager
def exit_on_user_error() -> Iterator[None]:
    """On a UserError, prints its sentence to stderr without a traceback, and ends the program with exit code 2.

    So does what the system refuses about a file, such as the permission to read it, and the output's being refused.
    Where nobody reads the output any more, the program ends as the shell's own do. Ctrl-C ends it likewise, with exit
    code 130. The sentence of a ``ToldElsewhere`` is not printed; the program then ends a little later, since what has
    started the processes may kill the others as soon as one ends.
    """
    _open_standard_streams()
    try:
        with _refusals_said():
            yield
    except UserError as error:
        if isinstance(error, ToldElsewhere):
            time.sleep(TELLING)
        else:
            print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("\nstopped by Ctrl-C", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None


@contextmanager
def _refusals_said() -> Iterator[None]:
    """Raises UserError where the system refuses something about a file that the error names, or has no space."""
    try:
        try:
            yield
        finally:
            _flush_output()
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _output_is_unread():
            raise SystemExit(128 + signal.SIGPIPE) from None
        said = error.strerror or error
        if error.filename is not None:
            raise UserError(f"{os.fsdecode(error.filename)} cannot be used: {said}") from error
        if error.errno in _NO_SPACE:
            raise UserError(f"something cannot be written: {said}; free space") from error
        raise


def _flush_output() -> None:
    """Writes what was printed. What cannot be written goes nowhere, since Python would fail once more when it ends."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if isinstance(error, BrokenPipeError):
            raise SystemExit(128 + signal.SIGPIPE) from None
        raise UserError(f"the output cannot be written: {error.strerror or error}") from error


def _output_is_unread() -> bool:
    """Whether the standard output is a pipe at whose other end nobody is any more."""
    poll = select.poll()
    poll.register(1, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _open_standard_streams() -> None:
    """Opens what the caller has closed of input, output and errors, so that no file or pipe takes their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it takes the lowest free number, this one
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # a path may hold what the terminal cannot show


REASON = 200
"""Characters, at most, that are passed on of another library's error."""


def reason_of(error: BaseException) -> str:
    """What an error of another library says, in one short line; its kind, if it says nothing."""
    return shorten(str(error), REASON) or type(error).__name__
