"""What a stored JPEG must be, so that the engines read it as it is: one rule for adopting stores and verifying them."""

import warnings

from dataprep.decoding import open_header, orientation_of
from dataprep.errors import UnreadableImage
from dataprep.jpeg_decoder import decodes

LARGEST_JPEG = 65535**2
"""Pixels of the largest that its header can describe."""


def upright_size(data: bytes) -> tuple[int, int] | str:
    """Decodes the bytes of a stored image.

    Returns:
        Its height and width, or what keeps the engines from reading it as it is.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd metadata does not matter here
        try:
            image = open_header(data, max_pixels=LARGEST_JPEG)
        except UnreadableImage as error:
            return f"cannot be read: {error}"
        if image.format not in ("JPEG", "MPO") or image.mode not in ("RGB", "L"):
            return f"is a {image.format} of mode {image.mode}, where a JPEG of mode RGB or L is needed"
        if orientation_of(image) != 1:
            return "is turned by its EXIF orientation, which is not applied to stored images"
    sound = decodes(data, image.height, image.width)
    return (image.height, image.width) if sound else "is a damaged JPEG"
