"""Which values of images with more than eight bits a channel are black and white, and how they become eight bits."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataprep.errors import UserError

if TYPE_CHECKING:
    import numpy as np

DEPTHS = (8, 10, 12, 14, 16)
"""Bits a channel that cameras and scanners give."""


@dataclass(frozen=True)
class ValueRange:
    """The values that become 0 and 255; those beyond are clipped.

    Attributes:
        low: becomes 0.
        high: becomes 255.
        given: whether the user gave it. Then it holds for all images with more than eight bits, also for signed and
            floating-point ones. Otherwise these are refused, images that say themselves what their largest value is (a
            PGM of maxval 4095) are taken by that, and values beyond the range are an error.
    """

    low: float
    high: float
    given: bool = False


FULL = ValueRange(0, 0xFFFF)
"""Of 16 bits the upper eight are kept."""


def parse_range(text: str, option: str = "--range") -> ValueRange | None:
    """Reads what an option says: ``full``, two numbers LOW,HIGH, or ``auto``, which gives None.

    Raises:
        UserError: it is none of these.
    """
    if text in ("auto", "full"):
        return FULL if text == "full" else None
    try:
        low, high = (float(number) for number in text.split(","))
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UserError(f"{option} {text} is no range; give auto, full, or two numbers LOW,HIGH such as 0,4095")
    return ValueRange(low, high, given=True)


def bits_for(largest: int) -> int:
    """The smallest of DEPTHS that holds a value of up to 16 bits."""
    return next(bits for bits in DEPTHS if largest < 1 << bits)


def to_bytes(values: "np.ndarray", taken: ValueRange) -> "np.ndarray":
    """Maps values (integers or floats, of any shape) to uint8.

    Of integers whose range is a number of bits, the upper eight are kept; otherwise the mapping is linear. Values that
    are not numbers become 0.
    """
    import numpy as np  # takes half of a worker's start-up time, and most conversions do not need it

    if values.dtype == np.uint16:  # by a table, which saves eight bytes a pixel
        return to_bytes(np.arange(1 << 16), taken)[values]
    bits = math.log2(taken.high + 1) if taken.low == 0 else 0.0
    if np.issubdtype(values.dtype, np.integer) and bits >= 8 and bits.is_integer():
        return (np.clip(values.astype(np.int64), 0, int(taken.high)) >> (int(bits) - 8)).astype(np.uint8)
    levels = (values.astype(np.float64) - taken.low) * (255 / (taken.high - taken.low))
    return np.rint(np.clip(np.nan_to_num(levels, nan=0.0), 0, 255)).astype(np.uint8)
