"""What the kernels know of each sample: one record, so that all of a batch's parameters travel in one copy."""

import numpy as np

from dataprep.errors import UserError
from vicregl_fast.augment.decoded_batch import DecodedBatch
from vicregl_fast.augment.operations import ADJUSTMENTS, CHANCES
from vicregl_fast.augment.parameters import ViewParameters

LARGEST_RADIUS = 6  # of the blur, in pixels of the view: what a block's shared memory holds beside its tile

SAMPLE = np.dtype(
    [
        ("start", np.int64),  # first byte of the crop in the packed images
        ("stride", np.int32),  # bytes from one row of the stored image to the next
        ("height", np.int32),  # of the crop, pixels
        ("width", np.int32),
        ("radius", np.int32),  # of the blur, pixels of the view; 0 leaves it out
        ("sigma", np.float32),
        ("factors", np.float32, len(ADJUSTMENTS)),  # by the number of the adjustment
        ("order", np.int8, len(ADJUSTMENTS)),
        *((chance.name, np.bool_) for chance in CHANCES),
    ],
    align=True,
)


def fill_samples(samples: np.ndarray, parameters: ViewParameters, batch: DecodedBatch) -> None:
    """Writes the b records.

    Raises:
        UserError: a sample's blur reaches further than LARGEST_RADIUS.
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
