"""A pixel's colour operations, in its sample's order; red, green and blue are float32 in [0, 255]."""

from numba import cuda

from vicregl_fast.augment.parameters import BRIGHTNESS, CONTRAST, SATURATION
from vicregl_fast.augment.scalars import ZERO, blend, grey, turn_hue


@cuda.jit(device=True, inline="always")
def _adjust(sample, operation, red, green, blue, mean):
    if operation == BRIGHTNESS:
        factor, other = sample["brightness"], ZERO
    elif operation == CONTRAST:
        factor, other = sample["contrast"], mean
    elif operation == SATURATION:
        factor, other = sample["saturation"], grey(red, green, blue)
    else:
        return turn_hue(red, green, blue, sample["hue"])
    return blend(red, other, factor), blend(green, other, factor), blend(blue, other, factor)


@cuda.jit(device=True, inline="always")
def grey_before_contrast(sample, red, green, blue):
    """The pixel's grey when its turn for contrast comes, which blends with the mean of it."""
    for turn in range(4):
        operation = sample["order"][turn]
        if operation == CONTRAST:
            break
        red, green, blue = _adjust(sample, operation, red, green, blue, ZERO)
    return grey(red, green, blue)


@cuda.jit(device=True, inline="always")
def colour(sample, red, green, blue, mean):
    """Colour jitter and greyscale. ``mean``: the view's mean of ``grey_before_contrast``."""
    if sample["jitter"]:
        for turn in range(4):
            red, green, blue = _adjust(sample, sample["order"][turn], red, green, blue, mean)
    if sample["grey"]:
        red = green = blue = grey(red, green, blue)
    return red, green, blue
