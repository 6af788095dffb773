"""Checks JPEG bytes, before they are kept, with the decoder by which FFCV will read them."""

import ctypes

from dataprep.libffcv import imdecode

REDUCTION = 8  # of each side: the largest that libjpeg supports


def decodes(data: bytes, height: int, width: int) -> bool:
    """Whether a JPEG of ``height`` x ``width`` pixels decodes completely and without a warning.

    It is decoded to an eighth of its sides. This still reads every bit of the data, but saves most of the arithmetic
    that follows, which cannot fail.

    Raises:
        UserError: FFCV is not installed.
    """
    pixels = ctypes.create_string_buffer(3 * -(-height // REDUCTION) * -(-width // REDUCTION))
    whole = (height, width, 0, 0, 1, REDUCTION, False, False)
    return imdecode()(data, len(data), height, width, pixels, *whole) == 0
