"""What the kernels know about each sample, as one record, so that all parameters of a batch travel in one copy."""

import numpy as np

from dataprep.errors import UserError
from vicregl_fast.augment.decoded_batch import DecodedBatch
from vicregl_fast.augment.operations import ADJUSTMENTS, CHANCES
from vicregl_fast.augment.parameters import ViewParameters

LARGEST_RADIUS = 6  # of the blur, in pixels of the view; a block's shared memory has no room for a wider margin

SAMPLE = np.dtype(
    [
        ("start", np.int64),  # the crop's first byte in the packed images
        ("stride", np.int32),  # bytes from one row of the stored image to the next
        ("height", np.int32),  # of the crop, in pixels
        ("width", np.int32),
        ("radius", np.int32),  # of the blur, in pixels of the view; 0 for no blur
        ("sigma", np.float32),  # of the blur, in pixels of the view
        ("factors", np.float32, len(ADJUSTMENTS)),  # by the number of the adjustment
        ("order", np.int8, len(ADJUSTMENTS)),  # numbers of the adjustments, first to last
        *((chance.name, np.bool_) for chance in CHANCES),
    ],
    align=True,
)


def fill_samples(samples: np.ndarray, parameters: ViewParameters, batch: DecodedBatch) -> None:
    """Writes ``samples``, records of SAMPLE [b], for the b images of a batch.

    Raises:
        UserError: the radius of a sample's blur is larger than LARGEST_RADIUS.
    """
    top, left, height, width = parameters.boxes.astype(np.int64).T
    radius = np.where(parameters.column("blur"), np.ceil(3 * parameters.sigma.astype(np.float64)), 0)
    if radius.max(initial=0) > LARGEST_RADIUS:
        raise UserError(
            f"the augmentation's CUDA backend blurs with a sigma of at most {LARGEST_RADIUS / 3:g} pixels, "
            f"not {parameters.sigma.max():g}: lower the recipe's blur_sigma or choose another backend"
        )
    samples["start"] = batch.offsets + 3 * (top * batch.widths + left)
    samples["stride"] = 3 * batch.widths
    samples["height"], samples["width"] = height, width
    samples["radius"] = radius
    for name in ("sigma", "factors", "order"):
        samples[name] = getattr(parameters, name)
    for chance in CHANCES:
        samples[chance.name] = parameters.column(chance.name)
