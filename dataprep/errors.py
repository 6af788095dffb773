"""The one kind of error that a user can mend, and how a program ends on it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

OnError = Literal["fail", "skip"]
"""What happens at an image that does not decode: the work ends, or goes on without it."""
ON_ERROR: tuple[OnError, ...] = get_args(OnError)


class UserError(ValueError):
    """A wrong option, path, store, checkpoint or mask: one sentence that says what, where, and what to do."""


@contextmanager
def exit_on_user_error() -> Iterator[None]:
    """Ends the program with code 2 and the error's sentence on stderr, without a traceback."""
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
