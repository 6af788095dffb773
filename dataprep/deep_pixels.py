"""The values of images with more than eight bits a channel, which Pillow's conversion to RGB would clip or cut."""

from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from dataprep.errors import UnreadableImage
from dataprep.value_range import DEPTHS, FULL, ValueRange, to_bytes

if TYPE_CHECKING:
    import numpy as np

_JP2_CODESTREAM = b"\xff\x4f\xff\x51"
_JP2_PRECISION = 42  # bytes from the codestream's start to the depth of its first channel
_MIN_IS_WHITE, _PHOTOMETRIC_TAG, _BITS_TAG = 0, 262, 258  # of TIFF


class DeepKind(NamedTuple):
    """What an opened image with more than eight bits a channel is.

    Attributes:
        colour: whether it has three channels. Pillow reduces these to eight bits when it decodes.
        top: its largest possible value, where the file says so and it is not that of 16 bits; otherwise None.
    """

    colour: bool
    top: int | None


def deep_kind(image: Image.Image, data: bytes) -> DeepKind | None:
    """Says how an opened image, not yet decoded, is deep; None if it has eight bits a channel."""
    top = _top(image, data)
    if image.mode.startswith("I") or image.mode == "F":
        return DeepKind(False, top)
    deep = ";16" in _raw_mode(image) or (top or 0) > 0xFF
    return DeepKind(True, None if top == 0xFFFF else top) if deep and image.mode in ("RGB", "RGBA") else None


def deep_values(image: Image.Image, data: bytes, kind: DeepKind) -> "np.ndarray":
    """The values of a decoded image as its file holds them: [height, width], or in colour [height, width, 3]."""
    import numpy as np  # takes half of a worker's start-up time, and most conversions do not need it

    if kind.colour:
        return opencv_pixels(data)[..., 2::-1]
    values = np.asarray(image)
    if kind.top is not None and image.format == "PPM":  # Pillow has scaled them to 16 bits
        return np.rint(values * (kind.top / 0xFFFF)).astype(np.int32)
    if kind.top is not None and image.format == "JPEG2000":  # likewise, by shifting
        return values >> (16 - kind.top.bit_length())
    return values


def deep_to_rgb(image: Image.Image, data: bytes, kind: DeepKind, taken: ValueRange) -> Image.Image:
    """Converts a decoded deep image to 8-bit RGB.

    Raises:
        UnreadableImage: its values are not known to lie in a range.
    """
    if kind.colour and not taken.given and (kind.top is not None or taken == FULL):
        return image.convert("RGB")  # Pillow keeps the upper eight bits of what the file says
    levels = values_to_bytes(deep_values(image, data, kind), kind.top, taken)
    tags = getattr(image, "tag_v2", {})
    if not kind.colour and tags.get(_PHOTOMETRIC_TAG) == _MIN_IS_WHITE:
        levels = 255 - levels
    return Image.fromarray(levels).convert("RGB")


def values_to_bytes(values: "np.ndarray", top: int | None, taken: ValueRange) -> "np.ndarray":
    """Maps the values of one image to uint8, by the range that is given, else by its own (0 to ``top``), else as found.

    Raises:
        UnreadableImage: no range was given, and the values are floats, negative, or beyond the range.
    """
    if not taken.given:
        taken = taken if top is None else ValueRange(0, top)
        if values.dtype.kind == "f":
            raise UnreadableImage("its pixels are floating-point numbers of unknown range" + _REMEDY)
        lowest, highest = int(values.min()), int(values.max())
        if lowest < 0 or highest > 0xFFFF or values.dtype == "int8":
            raise UnreadableImage(f"its pixels have more than 16 bits or a sign ({lowest} to {highest})" + _REMEDY)
        if highest > taken.high:
            raise UnreadableImage(f"its values reach {highest}, those of the other images {taken.high:.0f}" + _REMEDY)
    return to_bytes(values, taken)


def check_sought(values: "np.ndarray") -> None:
    """Refuses a deep image that the search for the range has passed over, by its ending, and would have minded.

    Raises:
        UnreadableImage: its values need fewer than 16 bits, and nothing says how many.
    """
    if values.dtype.kind in "ui" and int(values.max()) < 1 << DEPTHS[-2]:
        raise UnreadableImage(
            f"it has 16 bits, of which its values (up to {int(values.max())}) use fewer, and a name of images that "
            "have 8: rename it to .png, .tif or what else it is" + _REMEDY
        )


_REMEDY = "; say what is black and white with --range LOW,HIGH of a conversion, --data.range in training"


def opencv_pixels(data: bytes) -> "np.ndarray":
    """Decodes a file with OpenCV, which keeps 16 bits a channel: [height, width], or [height, width, 3 or 4] as BGR.

    Raises:
        UnreadableImage: OpenCV cannot decode it.
    """
    import cv2
    import numpy as np

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # the reason that is raised is enough
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise UnreadableImage(f"OpenCV cannot decode its deep pixels: {error.err}") from error
    if pixels is None:
        raise UnreadableImage("OpenCV cannot decode its deep pixels")
    return pixels


def scaled_levels(image: Image.Image) -> bool:
    """Whether Pillow, when it decodes this grey image of up to 8 bits, gives other numbers than the file holds."""
    if image.mode != "L":
        return False
    if image.format == "PPM":
        return _top(image, b"") not in (0xFF, None)  # None: they stand as they are
    return _raw_mode(image) in ("L;2", "L;4", "L;I", "L;2I", "L;4I", "L;2R", "L;4R", "L;2IR", "L;4IR", "L;IR")


def _raw_mode(image: Image.Image) -> str:
    """How Pillow names the layout of the channels in the file; it may follow other arguments, or stand alone."""
    arguments = _tile_arguments(image)
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _tile_arguments(image: Image.Image) -> Any:
    """What Pillow passes to the decoder of an opened image."""
    tiles = getattr(image, "tile", None)
    return tiles[0][3] if tiles else ()


def _top(image: Image.Image, data: bytes) -> int | None:
    """The largest possible value by the file's own header; None where that is a matter of its pixel format alone."""
    if image.format == "PPM":
        arguments = _tile_arguments(image)
        top = arguments[1] if isinstance(arguments, tuple) and image.mode != "F" else None
        return None if top == 0xFFFF and image.mode == "I" else top
    if image.format == "JPEG2000":
        start = data.find(_JP2_CODESTREAM)
        bits = (data[start + _JP2_PRECISION] & 0x7F) + 1 if 0 <= start < len(data) - _JP2_PRECISION else 8
        return None if bits == 16 and image.mode.startswith("I") else (1 << bits) - 1
    if image.format == "TIFF" and image.mode.startswith("I;16"):
        bits = getattr(image, "tag_v2", {}).get(_BITS_TAG, (16,))[0]
        return None if bits == 16 else (1 << bits) - 1
    return None
