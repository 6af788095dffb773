"""The view that evaluation takes: an undistorted centre crop."""

import numpy as np

from vicregl_fast.augment.parameters import ViewParameters

CENTRE_SHARE = 224 / 256  # of the short side, as when 256 pixels are resized and 224 kept


def centre_parameters(heights: np.ndarray, widths: np.ndarray) -> ViewParameters:
    """Parameters of b samples whose stored images have these heights and widths in pixels; nothing is drawn."""
    sides = np.maximum(1, np.rint(np.minimum(heights, widths) * CENTRE_SHARE)).astype(np.int32)
    boxes = np.stack([(heights - sides) // 2, (widths - sides) // 2, sides, sides], axis=1).astype(np.int32)
    return ViewParameters.of_crops(boxes)
