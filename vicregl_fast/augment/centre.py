"""The view that evaluation takes: an undistorted centre crop."""

import numpy as np

from vicregl_fast.augment.parameters import ViewParameters

CENTRE_SHARE = 224 / 256  # of the short side, as when 256 pixels are resized and 224 kept


def centre_parameters(heights: np.ndarray, widths: np.ndarray) -> ViewParameters:
    """Parameters of b samples whose stored images have these heights and widths in pixels; nothing is drawn."""
    count = len(heights)
    sides = np.maximum(1, np.rint(np.minimum(heights, widths) * CENTRE_SHARE)).astype(np.int32)
    boxes = np.stack([(heights - sides) // 2, (widths - sides) // 2, sides, sides], axis=1).astype(np.int32)
    nowhere, ones = np.zeros(count, bool), np.ones(count, np.float32)
    return ViewParameters(
        boxes=boxes,
        flips=nowhere,
        jitter=nowhere,
        order=np.tile(np.arange(4, dtype=np.int8), (count, 1)),
        brightness=ones,
        contrast=ones,
        saturation=ones,
        hue=np.zeros(count, np.float32),
        grey=nowhere,
        blur=nowhere,
        sigma=ones,
        solarise=nowhere,
    )
