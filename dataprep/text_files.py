"""Text that people bring: lists of images, files of labels, names of classes."""

import codecs
from pathlib import Path


def decoded(content: bytes) -> str:
    """Text in UTF-8, or in UTF-16 if it begins with that mark, as some editors and shells write it.

    Bytes that are no UTF-8 are kept, as Python keeps those of file names. A mark at the beginning is left out.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    return content.decode("utf-8-sig", errors="surrogateescape")


def read_lines(path: Path) -> list[str]:
    """The lines of a file.

    Raises:
        OSError: it cannot be read.
    """
    return decoded(path.read_bytes()).splitlines()
