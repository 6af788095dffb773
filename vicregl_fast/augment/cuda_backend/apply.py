"""One view of every image of a batch that lies on a GPU."""

import torch
from torch import Tensor

from vicregl_fast.augment.decoded_batch import DecodedBatch
from vicregl_fast.augment.parameters import ViewParameters
from vicregl_fast.augment.recipe import ViewRecipe


def apply(
    recipe: ViewRecipe, parameters: ViewParameters, batch: DecodedBatch, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Makes one view of every image, as ``reference.apply`` does, on torch's current stream, and waits for nothing.

    Args:
        recipe: the view's size and its solarising threshold; all else is in `parameters`.
        parameters: of the b images, in their order.
        batch: its packed bytes on a CUDA device.
        dtype: float32, float16 or bfloat16.

    Returns: [b, 3, size, size] in channels_last memory format, normalised by ImageNet's statistics.

    Raises:
        UserError: a blur is too wide for a block's shared memory.
    """
    # Only here, since all else works without that package.
    from vicregl_fast.augment.cuda_backend.device import make_views

    return make_views(recipe, parameters, batch, dtype)
