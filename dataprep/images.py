"""Converts one image, from any file that Pillow reads to the bytes that a store keeps."""

import hashlib
import io
from functools import partial
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from dataprep.decoding import despite_metadata, load, open_header, orientation_of, read, reason, upright
from dataprep.deep_pixels import check_sought, deep_kind, deep_to_rgb, deep_values, scaled_levels, values_to_bytes
from dataprep.errors import UnreadableImage, UserError
from dataprep.formats import DEEP_EXTENSIONS, MAX_PIXELS
from dataprep.frames import has_more
from dataprep.jpeg_decoder import decodes
from dataprep.manifest import StoreOptions
from dataprep.metadata import bare_jpeg, has_ballast
from dataprep.tiff_layouts import TiffLayout, read_layout, tiff_values
from dataprep.value_range import FULL, ValueRange

__all__ = [
    "StoredImage",
    "UnreadableImage",
    "convert",
    "kept_as_pixels",
    "load_pixels",
    "load_rgb",
    "stored_image",
    "stored_layout",
]

DIGEST_BYTES = 8
BALLAST = 1 << 16  # bytes of metadata, or behind the end, that a stored JPEG may drag along
DRAFTED = 1 << 24  # pixels from which on a JPEG is decoded at a reduced size; smaller ones need little memory
DRAFT_MARGIN = 2  # times the final size: what a draft must have at least, so that the quality stays
LONGEST_COMMENT = (1 << 16) - 3  # bytes of a JPEG's, into which Pillow copies those of other formats


class StoredImage(NamedTuple):
    """An image as a store keeps it.

    Attributes:
        data: a JPEG, or if ``raw`` the pixels, uint8 RGB [height, width, 3].
        height: in pixels.
        width: in pixels.
        original: whether ``data`` is the content of the source file; of large metadata it has been relieved.
        raw: whether ``data`` is pixels.
        first_of_more: whether the source file has further frames or pages.
    """

    data: bytes
    height: int
    width: int
    original: bool
    raw: bool = False
    first_of_more: bool = False


def load_rgb(path: Path, taken: ValueRange = FULL, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decodes a file of any format and mode to upright 8-bit RGB.

    EXIF orientation is applied, and other metadata ignored, even if it is damaged; transparency is dropped; of several
    frames or pages the first is taken; of more than eight bits a channel the values of a range become 0 to 255.

    Args:
        path: of the file.
        taken: the range.
        max_pixels: the largest size that is decoded.

    Raises:
        UnreadableImage: it cannot be decoded completely.
    """
    decode = partial(_decode_rgb, suffix=path.suffix, taken=taken, max_pixels=max_pixels)
    return despite_metadata(decode, read(path))


def load_pixels(path: Path, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decodes a file to the values and the mode that it has, neither converted nor turned, as a mask needs it.

    Raises:
        UnreadableImage: it cannot be decoded completely.
    """

    def decode(data: bytes) -> Image.Image:
        image = open_header(data, path.suffix, max_pixels)
        kind = deep_kind(image, data)
        if kind is not None and kind.colour:
            raise UnreadableImage("Pillow keeps only eight of the more bits of its colours; make it grey")
        if scaled_levels(image) or (kind is not None and kind.top is not None):
            raise UnreadableImage(
                "its grey levels are not the numbers in the file, since it has fewer than 8 bits, another maximum than "
                "255, or 0 as white: write it as an 8-bit grey PNG"
            )
        return load(image, data)

    return despite_metadata(decode, read(path))


def stored_layout(path: Path) -> tuple[int, int, int]:
    """The EXIF orientation, 1 to 8, of a file, with the height and width of its pixels as they are stored.

    Raises:
        UnreadableImage: it is no image.
    """
    image = despite_metadata(lambda data: open_header(data, path.suffix), read(path))
    orientation = orientation_of(image)
    if image.format == "TIFF" and orientation >= 5:  # Pillow gives the size that it has once it is turned
        return orientation, image.width, image.height
    return orientation, image.height, image.width


def stored_image(
    path: Path,
    max_side: int,
    quality: int,
    raw: bool = False,
    *,
    taken: ValueRange = FULL,
    max_pixels: int = MAX_PIXELS,
    frugal: bool = True,
) -> StoredImage:
    """Converts a file to what a store keeps of it.

    An upright RGB JPEG whose sides are at most ``max_side`` is kept as it is. Any other image is reduced to
    ``max_side`` if it is larger, and encoded as JPEG. So is a JPEG of which FFCV's decoder warns, although Pillow
    decodes it.

    Args:
        path: of the file.
        max_side: longest side in pixels.
        quality: JPEG quality, 1 to 100.
        raw: whether the pixels are stored instead of a JPEG.
        taken: the values that become 0 to 255 in images of more than eight bits a channel.
        max_pixels: the largest size that is decoded.
        frugal: whether a JPEG that is kept loses metadata and what follows its end where this is more than BALLAST,
            and a very large one is decoded at a reduced size.

    Raises:
        UnreadableImage: it cannot be decoded completely.
        UserError: FFCV is not installed.
    """

    def of(data: bytes) -> StoredImage:
        original = None if raw else _kept_jpeg(data, max_side, max_pixels, frugal)
        if original is not None:
            return original
        reduced_to = max_side if frugal else None
        rgb = _shrink(*_decode_with_size(data, path.suffix, taken, max_pixels, reduced_to), max_side)
        kept = rgb.tobytes() if raw else _encode(rgb, quality)
        return StoredImage(kept, rgb.height, rgb.width, False, raw, has_more(data, path.suffix, max_pixels))

    return despite_metadata(of, read(path))


def convert(item: tuple[int, str], root: Path, options: StoreOptions) -> StoredImage | UnreadableImage:
    """Converts image ``item`` (its place in the source, its path below ``root``) as the options say.

    An error is returned, not raised: ``ordered_map`` ends at an exception, and the caller may want to skip the image.
    """
    place, file = item
    try:
        return stored_image(
            root / file,
            options.max_side,
            options.quality,
            kept_as_pixels(place, options.raw_share),
            taken=options.range,
            max_pixels=options.max_pixels,
            frugal=options.frugal,
        )
    except UnreadableImage as error:
        return error
    except UserError:
        raise
    except Exception as error:  # too little memory to reduce it, say, or what Pillow's encoder raises
        return UnreadableImage(reason(error))


def kept_as_pixels(place: int, share: float) -> bool:
    """Whether image ``place`` of a source belongs to the share (0 to 1) that is stored as pixels.

    It depends on the arguments only. The images of a smaller share also belong to every larger one.
    """
    digest = hashlib.blake2b(place.to_bytes(8, "little"), digest_size=DIGEST_BYTES).digest()
    return int.from_bytes(digest, "little") < share * 256**DIGEST_BYTES


def _kept_jpeg(data: bytes, max_side: int, max_pixels: int, frugal: bool) -> StoredImage | None:
    """The file's own JPEG, if it can be stored as it is."""
    if not data.startswith(b"\xff\xd8"):
        return None
    image = open_header(data, max_pixels=max_pixels)
    if image.mode != "RGB" or max(image.size) > max_side or orientation_of(image) != 1:
        return None
    kept = _relieved(data, image) if frugal else data if image.format == "JPEG" else None
    if kept is None or not decodes(kept, image.height, image.width):
        return None
    return StoredImage(kept, image.height, image.width, original=True)


def _relieved(data: bytes, image: Image.Image) -> bytes | None:
    """A JPEG without its ballast; None if that cannot be done to one with further pictures behind it (an MPO)."""
    alone = image.format == "JPEG"
    if alone and not has_ballast(data, image.width * image.height, BALLAST):
        return data
    try:
        bare = bare_jpeg(data)
    except ValueError:
        return data if alone else None
    return data if alone and len(data) - len(bare) <= BALLAST else bare


def _decode_rgb(data: bytes, suffix: str, taken: ValueRange, max_pixels: int) -> Image.Image:
    return _decode_with_size(data, suffix, taken, max_pixels, None)[0]


def _decode_with_size(
    data: bytes, suffix: str, taken: ValueRange, max_pixels: int, reduced_to: int | None
) -> tuple[Image.Image, tuple[int, int]]:
    """Decodes to upright RGB; returns the image with its (width, height) in the file.

    Where ``reduced_to`` is given, a very large JPEG is decoded at a size that still exceeds this longer side.
    """
    layout = read_layout(data)
    if layout is not None and layout.misread:
        return _through_opencv(data, layout, taken, max_pixels)
    try:
        image = open_header(data, suffix, max_pixels)
    except UnreadableImage:
        if layout is None:
            raise
        return _through_opencv(data, layout, taken, max_pixels)
    kind = deep_kind(image, data)
    size = image.size
    if reduced_to is not None and size[0] * size[1] > DRAFTED:
        width, height = _reduced(size, reduced_to)
        image.draft(None, (DRAFT_MARGIN * width, DRAFT_MARGIN * height))  # does nothing where it is no JPEG
    load(image, data)
    try:
        if kind is not None and not taken.given and kind.top is None and suffix.lower() not in DEEP_EXTENSIONS:
            check_sought(deep_values(image, data, kind))
        rgb = _to_rgb(image) if kind is None else deep_to_rgb(image, data, kind, taken)
        orientation = orientation_of(image)  # after decoding: a TIFF is turned by Pillow
        return upright(rgb, orientation), size if orientation < 5 else size[::-1]
    except UnreadableImage:
        raise
    except Exception as error:  # as in open_header
        raise UnreadableImage(reason(error, data)) from error


def _through_opencv(
    data: bytes, layout: TiffLayout, taken: ValueRange, max_pixels: int
) -> tuple[Image.Image, tuple[int, int]]:
    values = tiff_values(data, layout, max_pixels)
    levels = values if values.dtype == "uint8" else values_to_bytes(values, None, taken)
    if layout.to_invert:
        levels = 255 - levels
    rgb = upright(Image.fromarray(levels).convert("RGB"), layout.orientation)
    return rgb, rgb.size


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def _reduced(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    scale = min(1, max_side / max(size))
    width, height = (max(1, round(side * scale)) for side in size)
    return width, height


def _shrink(image: Image.Image, size: tuple[int, int], max_side: int) -> Image.Image:
    """Reduces an image, which has ``size`` (width, height) in its file, to ``max_side``."""
    target = _reduced(size, max_side)
    return image if image.size == target else image.resize(target, Image.Resampling.LANCZOS)


def _encode(rgb: Image.Image, quality: int) -> bytes:
    if len(rgb.info.get("comment", b"")) > LONGEST_COMMENT:
        del rgb.info["comment"]
    buffer = io.BytesIO()
    rgb.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
