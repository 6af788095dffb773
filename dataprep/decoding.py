"""Reads, opens and decodes one file with Pillow, whatever its format; a failure is an UnreadableImage with a reason."""

import io
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

import PIL
from PIL import Image, UnidentifiedImageError

from dataprep.errors import UnreadableImage
from dataprep.formats import LATER_FORMATS, MAX_PIXELS, PILLOW_FORMATS, UNMARKED_FORMATS, foreign
from dataprep.metadata import ORIENTATION_TAG, ORIENTATIONS, exif_orientation, without_metadata

Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit cannot be told from damage; MAX_PIXELS stands in its place

Result = TypeVar("Result")

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read(path: Path) -> bytes:
    """The content of a file, which is not empty."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableImage(f"it cannot be read: {error.strerror}") from error
    if not data:
        raise UnreadableImage("the file is empty")
    return data


def open_header(data: bytes, suffix: str = "", max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Reads the header of an image.

    Args:
        data: content of the file.
        suffix: extension of the file; it decides only of formats that do not say what they are.
        max_pixels: the largest size that is decoded.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=_formats(suffix.lower()))
    except UnidentifiedImageError as error:
        raise UnreadableImage(foreign(data) or "its content is no image that Pillow knows") from error
    except Exception as error:  # Pillow's readers raise whatever a broken header leads them to
        raise UnreadableImage(reason(error, data)) from error
    check_size(*image.size, max_pixels)
    return image


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raises UnreadableImage for an image of no pixels, or of more than ``max_pixels``."""
    if width < 1 or height < 1:
        raise UnreadableImage(f"it has no pixels ({width}x{height})")
    if width * height > max_pixels:
        raise UnreadableImage(
            f"its {width}x{height} pixels are more than the {max_pixels} that a conversion takes by default "
            "or by --max_pixels"
        )


def load(image: Image.Image, data: bytes) -> Image.Image:
    """Decodes the pixels of the opened ``data`` completely."""
    try:
        image.load()
    except Exception as error:  # as in open_header
        raise UnreadableImage(reason(error, data)) from error
    return image


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Turns an image that lies as an EXIF orientation says."""
    return image if orientation == 1 else image.transpose(_TURNS[orientation])


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation, from 1 to 8; 1 where the metadata holds none that can be read."""
    try:
        found = image.getexif().get(ORIENTATION_TAG)
    except Exception:  # Pillow looks at all that the metadata holds, and may fail at any of it
        found = None
    if isinstance(found, int) and found in ORIENTATIONS:
        return found
    exif = image.info.get("exif")
    return exif_orientation(exif) if isinstance(exif, bytes) else 1


def despite_metadata(decode: Callable[[bytes], Result], data: bytes) -> Result:
    """Calls ``decode(data)``, and if that fails, calls it once more with the metadata taken out of ``data``."""
    with warnings.catch_warnings():
        # Pillow warns of odd metadata, which does not matter here and would break up the progress bar.
        warnings.simplefilter("ignore")
        try:
            return decode(data)
        except UnreadableImage as error:
            bare = without_metadata(data)
            if bare == data:
                raise
            try:
                return decode(bare)
            except UnreadableImage:
                raise error from None


def reason(error: Exception, data: bytes = b"") -> str:
    """What a user is told of an error while ``data`` was decoded."""
    if isinstance(error, MemoryError):
        return "there is not enough memory for its pixels"
    said = " ".join(str(error).split()) or type(error).__name__
    meant = isinstance(error, OSError | SyntaxError)  # Pillow's own; others come from where it did not expect damage
    return foreign(data) or (said if meant else f"its content is damaged ({said})")


@cache
def _formats(suffix: str) -> tuple[str, ...]:
    version = tuple(int(part) for part in PIL.__version__.split(".")[:2])
    later = [name for name, since in LATER_FORMATS.items() if version >= tuple(map(int, since.split(".")))]
    unmarked = [UNMARKED_FORMATS[suffix]] if suffix in UNMARKED_FORMATS else []
    return (*PILLOW_FORMATS, *later, *unmarked)
