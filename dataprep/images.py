"""Converts one image, from any file that Pillow reads to the bytes that a store keeps."""

import hashlib
import io
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageOps, UnidentifiedImageError

from dataprep.jpeg_decoder import decodes
from dataprep.manifest import StoreOptions

ORIENTATION_TAG = 0x0112  # of EXIF
DIGEST_BYTES = 8
TURNED = range(2, 9)  # the EXIF orientations that are not upright; values beyond 1 to 8 are undefined


class UnreadableImage(Exception):
    """A file is not an image that can be decoded completely; the message is the reason."""


class StoredImage(NamedTuple):
    """An image as a store keeps it.

    Attributes:
        data: a JPEG, or if ``raw`` the pixels, uint8 RGB [height, width, 3].
        height: in pixels.
        width: in pixels.
        original: whether ``data`` is the unchanged content of the source file.
        raw: whether ``data`` is pixels.
    """

    data: bytes
    height: int
    width: int
    original: bool
    raw: bool = False


def load_rgb(path: Path) -> Image.Image:
    """Decodes a file of any mode to upright 8-bit RGB.

    EXIF orientation is applied, transparency is dropped, and of 16 bits the upper eight are kept.

    Raises:
        UnreadableImage: it cannot be decoded completely.
    """
    return _decode(open_bytes(_read(path)))


def orientation_of(path: Path) -> int:
    """The EXIF orientation of a file, 1 to 8; 1 if it has none or an undefined one, or is no image."""
    try:
        with Image.open(path) as image:
            orientation: Any = image.getexif().get(ORIENTATION_TAG)
    except Exception:  # Pillow's readers raise whatever a broken file leads them to
        return 1
    return int(orientation) if orientation in TURNED else 1


def stored_image(path: Path, max_side: int, quality: int, raw: bool = False) -> StoredImage:
    """Converts a file to what a store keeps of it.

    An upright RGB JPEG whose sides are at most ``max_side`` is kept as it is. Any other image is reduced to
    ``max_side`` if it is larger, and encoded as JPEG. So is a JPEG of which FFCV's decoder warns, although Pillow
    decodes it.

    Args:
        path: of the file.
        max_side: longest side in pixels.
        quality: JPEG quality, 1 to 100.
        raw: whether the pixels are stored instead of a JPEG.

    Raises:
        UnreadableImage: it cannot be decoded completely.
        UserError: FFCV is not installed.
    """
    data = _read(path)
    image = open_bytes(data)
    plain = image.format == "JPEG" and image.mode == "RGB" and max(image.size) <= max_side and not raw
    if plain and not is_turned(image) and decodes(data, image.height, image.width):
        return StoredImage(data, image.height, image.width, original=True)
    rgb = _shrink(_decode(image), max_side)
    if raw:
        return StoredImage(rgb.tobytes(), rgb.height, rgb.width, original=False, raw=True)
    buffer = io.BytesIO()
    rgb.save(buffer, "JPEG", quality=quality)
    return StoredImage(buffer.getvalue(), rgb.height, rgb.width, original=False)


def convert(item: tuple[int, str], root: Path, options: StoreOptions) -> StoredImage | UnreadableImage:
    """Converts image ``item`` (its place in the source, its path below ``root``) as the options say.

    An error is returned, not raised: ``ordered_map`` ends at an exception, and the caller may want to skip the image.
    """
    place, file = item
    with warnings.catch_warnings():
        # Pillow warns of odd metadata, which does not matter here and would break up the progress bar.
        warnings.simplefilter("ignore")
        try:
            raw = kept_as_pixels(place, options.raw_share)
            return stored_image(root / file, options.max_side, options.quality, raw)
        except UnreadableImage as error:
            return error


def kept_as_pixels(place: int, share: float) -> bool:
    """Whether image ``place`` of a source belongs to the share (0 to 1) that is stored as pixels.

    It depends on the arguments only. The images of a smaller share also belong to every larger one.
    """
    digest = hashlib.blake2b(place.to_bytes(8, "little"), digest_size=DIGEST_BYTES).digest()
    return int.from_bytes(digest, "little") < share * 256**DIGEST_BYTES


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableImage(f"it cannot be read: {error.strerror}") from error
    if not data:
        raise UnreadableImage("the file is empty")
    return data


def open_bytes(data: bytes) -> Image.Image:
    """Reads the header of an image file's content.

    Raises:
        UnreadableImage: Pillow does not know it.
    """
    try:
        return Image.open(io.BytesIO(data))
    except UnidentifiedImageError as error:
        raise UnreadableImage("its content is no image that Pillow knows") from error
    except Exception as error:  # Pillow's readers raise whatever a broken header leads them to
        raise UnreadableImage(_reason(error)) from error


def is_turned(image: Image.Image) -> bool:
    """Whether EXIF says that the image is not upright."""
    try:
        return image.getexif().get(ORIENTATION_TAG) in TURNED
    except Exception:  # broken metadata beside intact pixels counts as none
        return False


def _decode(image: Image.Image) -> Image.Image:
    try:
        image.load()
        return _to_rgb(ImageOps.exif_transpose(image) if is_turned(image) else image)
    except UnreadableImage:
        raise
    except Exception as error:  # as in open_bytes
        raise UnreadableImage(_reason(error)) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return _high_bytes(image)
    if image.mode == "F":
        raise UnreadableImage("its pixels are floating-point numbers of unknown range")
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def _high_bytes(image: Image.Image) -> Image.Image:
    """Converts 16-bit grey to RGB by its upper eight bits; Pillow's own conversion would clip at 255."""
    import numpy as np  # takes half of a worker's start-up time, and most conversions do not need it

    levels = np.asarray(image)
    if levels.min() < 0 or levels.max() > 0xFFFF:
        raise UnreadableImage("its pixels have more than 16 bits")
    return Image.fromarray((levels >> 8).astype(np.uint8)).convert("RGB")


def _shrink(image: Image.Image, max_side: int) -> Image.Image:
    scale = max_side / max(image.size)
    if scale >= 1:
        return image
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
