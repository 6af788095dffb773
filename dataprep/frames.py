"""Whether a file holds more pictures than the first, which is the one that is taken."""

from dataprep.decoding import open_header
from dataprep.tiff_layouts import read_layout

ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")
"""Formats, in Pillow's names, that may have several frames. What a JPEG has beside its picture are versions of it."""


def has_more(data: bytes, suffix: str, max_pixels: int) -> bool:
    """Whether the content of a sound image file has further pages (TIFF) or frames.

    Args:
        data: the content.
        suffix: the file's extension.
        max_pixels: the largest size that is decoded.
    """
    layout = read_layout(data)
    if layout is not None:
        return layout.followed
    image = open_header(data, suffix, max_pixels)
    try:
        return image.format in ANIMATED and bool(getattr(image, "is_animated", False))
    except Exception:  # as at broken headers, Pillow raises whatever the next frame leads it to
        return True
