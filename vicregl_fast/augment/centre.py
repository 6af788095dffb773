"""The view that evaluation uses: a centre crop without distortions."""

import numpy as np

from vicregl_fast.augment.parameters import ViewParameters

CENTRE_SHARE = 224 / 256
"""The crop's side as a share of the image's short side, as if that were resized to 256 pixels and 224 of them kept."""


def centre_parameters(heights: np.ndarray, widths: np.ndarray) -> ViewParameters:
    """Returns the parameters of the centre crops of b images of these sizes, int [b], in pixels; nothing is drawn."""
    sides = np.maximum(1, np.rint(np.minimum(heights, widths) * CENTRE_SHARE)).astype(np.int32)
    boxes = np.stack([(heights - sides) // 2, (widths - sides) // 2, sides, sides], axis=1).astype(np.int32)
    return ViewParameters.of_crops(boxes)
