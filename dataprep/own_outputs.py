"""Which files that are there a program may replace: results and pictures that such a program made, and empty ones.

Results that are complete are replaced by complete ones only.
"""

import json
from pathlib import Path

from dataprep.atomic import is_special

PICTURES = (".png", ".pdf", ".svg", ".jpg", ".jpeg", ".webp", ".eps")
"""The endings of files of pictures, which say what kind they are."""
SOFTWARE = 0x0131
"""The number in EXIF of the name of the program that made a picture."""
MAKER = "Matplotlib"
"""What draws all pictures, and is named in them as their maker."""
_SIGNS = (b"/Creator (Matplotlib v", b"<dc:title>Matplotlib v", b"%%Creator: Matplotlib v")  # of PDF, SVG, EPS
COMPLETE = "complete"
"""Entry of the environment of results: false where some are still to come, or never came. Older files lack it."""


def is_results(path: Path) -> bool:
    """Whether a file is one of ``--json``: an object with ``environment`` and ``results``; also if it is empty."""
    if path.stat().st_size == 0:
        return True
    with path.open("rb") as file:
        if file.read(1) != b"{":
            return False
    try:
        content = json.loads(path.read_bytes())
    except ValueError:
        return False
    return isinstance(content, dict) and {"environment", "results"} <= content.keys()


def is_drawn(path: Path) -> bool:
    """Whether a file is a picture that Matplotlib drew, by the maker that it names; also if it is empty."""
    from PIL import Image

    if path.stat().st_size == 0:
        return True
    try:
        with Image.open(path, formats=("PNG", "JPEG", "WEBP")) as picture:
            makers = picture.info.get("Software"), picture.getexif().get(SOFTWARE)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        content = path.read_bytes()
        return any(sign in content for sign in _SIGNS)
    return any(str(maker).startswith(MAKER) for maker in makers)


def in_the_way(path: Path) -> str:
    """Says why a file is not replaced; empty if it may be, or is not there, or is a pipe or a device.

    A link is what it leads to. By its ending a file should be a picture, or else results.
    """
    picture = path.suffix.lower() in PICTURES
    if not path.is_file() or is_special(path) or (is_drawn if picture else is_results)(path):
        return ""
    kind = "picture" if picture else "result"
    return f"{path} exists and is no {kind} of this program: choose another name, or remove it"


def place_of_incomplete(path: Path) -> Path:
    """Where results go that are not complete.

    That is ``path`` itself, or beside a file there that may be complete: ``partial_of``.
    """
    return partial_of(path) if _may_be_complete(path) else path


def partial_of(path: Path) -> Path:
    """The name of incomplete results beside complete ones: ``steps.partial.json`` beside ``steps.json``."""
    return path.with_suffix(f".partial{path.suffix}")


def _may_be_complete(path: Path) -> bool:
    if is_special(path) or not path.is_file() or path.stat().st_size == 0:
        return False
    try:
        return bool(json.loads(path.read_bytes())["environment"].get(COMPLETE, True))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return True
