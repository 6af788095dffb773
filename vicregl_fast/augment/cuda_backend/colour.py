"""A pixel's colour operations, in its sample's order.

Red, green, blue and grey are levels, float32 in [0, 255]. ``sample`` is a record of SAMPLE.
"""

from numba import cuda

from vicregl_fast.augment.operations import CONTRAST
from vicregl_fast.augment.scalars import ZERO, adjust, grey


@cuda.jit(device=True, inline="always")
def grey_before_contrast(sample, red, green, blue):
    """Returns the pixel's grey after all adjustments before contrast, which blends with the mean of this grey."""
    for turn in range(len(sample["order"])):
        operation = sample["order"][turn]
        if operation == CONTRAST:
            break
        red, green, blue = adjust(operation, sample["factors"][operation], red, green, blue, ZERO)
    return grey(red, green, blue)


@cuda.jit(device=True, inline="always")
def colour(sample, red, green, blue, mean_grey):
    """Returns the pixel after jitter and greyscale; ``mean_grey`` is the view's mean of ``grey_before_contrast``."""
    if sample["jitter"]:
        for turn in range(len(sample["order"])):
            operation = sample["order"][turn]
            red, green, blue = adjust(operation, sample["factors"][operation], red, green, blue, mean_grey)
    if sample["grey"]:
        red = green = blue = grey(red, green, blue)
    return red, green, blue
