"""Makes one view of every image of a batch that lies on a GPU."""

import torch
from torch import Tensor

from vicregl_fast.augment.decoded_batch import DecodedBatch
from vicregl_fast.augment.parameters import ViewParameters
from vicregl_fast.augment.recipe import ViewRecipe


def apply(
    recipe: ViewRecipe, parameters: ViewParameters, batch: DecodedBatch, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Makes one view of each of b images, as ``reference.apply`` does, on torch's current stream.

    The work is queued; the host does not wait for it.

    Args:
        recipe: only its view size and solarising threshold are used; all else is in ``parameters``.
        parameters: what is done to each image, in the order of the batch.
        batch: decoded images, with their bytes on a GPU.
        dtype: of the view; float32, float16 or bfloat16.

    Returns:
        ``dtype`` [b, 3, size, size] in channels_last memory format, normalised by ImageNet's statistics.

    Raises:
        UserError: a blur is too wide for a block's shared memory.
    """
    # Imported here, since everything else works without numba-cuda.
    from vicregl_fast.augment.cuda_backend.device import make_views

    return make_views(recipe, parameters, batch, dtype)
