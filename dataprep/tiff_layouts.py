"""TIFFs that Pillow refuses or misreads: what they are, and their pixels where OpenCV reads them right."""

import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL.TiffImagePlugin import PREFIXES, ImageFileDirectory_v2

from dataprep.decoding import check_size
from dataprep.deep_pixels import opencv_pixels
from dataprep.errors import UnreadableImage
from dataprep.metadata import ORIENTATION_TAG, ORIENTATIONS

if TYPE_CHECKING:
    import numpy as np

_MIN_IS_WHITE, _GREY, _RGB, _SEPARATE_PLANES = 0, (0, 1), 2, 2  # values of tags
_NUMBERS = {1: "unsigned", 2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}
_SIGNS = {(8, 2): "int8", (32, 1): "uint32"}
"""What numbers are, by bits and sample format, where Pillow takes the other sign, and OpenCV before its version 5."""


@dataclass(frozen=True)
class TiffLayout:
    """How the pixels of a TIFF's first page are laid out.

    Attributes:
        width, height: in pixels.
        bands: channels.
        bits: of a channel.
        sample_format: 1 for unsigned, 2 for signed integers, 3 for floating-point numbers.
        photometric: what the channels are: 0 and 1 grey, 2 RGB.
        separate: whether each channel has its own plane.
        end: where the pixels end in the file.
        orientation: as in EXIF, 1 to 8.
        followed: whether there is a second page.
    """

    width: int
    height: int
    bands: int
    bits: int
    sample_format: int
    photometric: int
    separate: bool
    end: int
    orientation: int
    followed: bool

    @property
    def misread(self) -> bool:
        """Whether Pillow gives wrong pixels."""
        return self._deep_planes or (self.bits, self.sample_format) in _SIGNS

    @property
    def _deep_planes(self) -> bool:
        """Which Pillow takes for shallow ones."""
        return self.separate and self.bits > 8

    @property
    def to_invert(self) -> bool:
        """Whether the smallest value is white in what OpenCV gives; of 8 bits it has done that itself."""
        return self.photometric == _MIN_IS_WHITE and self.bits > 8

    @property
    def opencv_reads(self) -> bool:
        """Whether OpenCV gives the right channels: it mixes up those of deep planes, and of other bands than RGB."""
        plain = self.bits in (8, 16, 32, 64) and self.sample_format in (1, 2, 3)
        grey = self.photometric in _GREY and self.bands == 1
        colour = self.photometric == _RGB and self.bands in (3, 4) and not self._deep_planes
        return plain and (grey or colour)

    def __str__(self) -> str:
        bands = f"{self.bands} band{'s' * (self.bands != 1)}"
        numbers = f"{self.bits}-bit {_NUMBERS.get(self.sample_format, 'unknown')} numbers"
        return f"a TIFF with {bands} of {numbers}" + " in separate planes" * (self.separate and self.bands > 1)


def read_layout(data: bytes) -> TiffLayout | None:
    """Reads the layout of a TIFF; None if it is none, or if its tags cannot be read."""
    if not data.startswith(tuple(PREFIXES)):
        return None
    try:
        tags = _tags(data)
        offsets, sizes = (tags.get(273), tags.get(279)) if 273 in tags else (tags.get(324), tags.get(325))
        orientation = int(tags.get(ORIENTATION_TAG, 1))
        return TiffLayout(
            width=int(tags[256]),
            height=int(tags[257]),
            bands=int(tags.get(277, 1)),
            bits=int(_first(tags.get(258, 1))),
            sample_format=int(_first(tags.get(339, 1))),
            photometric=int(tags.get(262, 0)),
            separate=tags.get(284) == _SEPARATE_PLANES,
            end=max(offset + size for offset, size in zip(offsets, sizes, strict=True)),
            orientation=orientation if orientation in ORIENTATIONS else 1,
            followed=bool(tags.next),
        )
    except Exception:  # as at other damaged headers, Pillow raises whatever they lead it to
        return None


def tiff_values(data: bytes, layout: TiffLayout, max_pixels: int) -> "np.ndarray":
    """Decodes a TIFF with OpenCV: [height, width], or [height, width, 3] as RGB; not yet turned upright.

    Raises:
        UnreadableImage: its layout is not read, it is too large, or it is cut short.
    """
    check_size(layout.width, layout.height, max_pixels)
    if not layout.opencv_reads:
        raise UnreadableImage(f"it is {layout}, which is not read; save the three bands to be seen as an RGB PNG")
    if layout.end > len(data):  # OpenCV would fill up what is missing
        raise UnreadableImage("the file is cut short")
    values = opencv_pixels(_as_stored(data, layout.orientation))
    if (kind := _SIGNS.get((layout.bits, layout.sample_format))) and values.dtype.itemsize * 8 == layout.bits:
        values = values.view(kind)
    if values.shape[:2] != (layout.height, layout.width) or (values.ndim == 3) != (layout.bands > 1):
        raise UnreadableImage(f"it is {layout}, which OpenCV misreads; save it as PNG")
    return values if values.ndim == 2 else values[..., 2::-1]


def _tags(data: bytes) -> Any:
    tags = ImageFileDirectory_v2(data[:16] if data[2] == 43 else data[:8])
    file = io.BytesIO(data)
    file.seek(tags.next)
    tags.load(file)
    return tags


def _first(values: Any) -> Any:
    return values[0] if isinstance(values, tuple) else values


def _as_stored(data: bytes, orientation: int) -> bytes:
    """The file with an upright orientation: some versions of OpenCV turn a TIFF, and others do not."""
    order = "<" if data.startswith(b"II") else ">"
    entry = [struct.pack(order + "HHIH", ORIENTATION_TAG, 3, 1, value) for value in (orientation, 1)]
    return data if orientation == 1 else data.replace(entry[0], entry[1], 1)
