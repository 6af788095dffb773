"""One view of every image of a batch that lies on a GPU."""

from importlib.util import find_spec

import torch
from torch import Tensor

from dataprep.errors import UserError
from vicregl_fast.augment.parameters import ViewParameters
from vicregl_fast.augment.recipe import ViewRecipe
from vicregl_fast.data.batches import DecodedBatch


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
        UserError: the package numba-cuda is missing, or a blur is too wide for a block's shared memory.
    """
    if find_spec("numba_cuda") is None:
        raise UserError(
            "the augmentation's CUDA backend needs the package numba-cuda, which is not installed: "
            "pip install 'vicregl_fast[cuda]', or 'vicregl_fast[cuda12]' where torch is built for CUDA 12"
        )
    # Only here, since all else works without that package.
    from vicregl_fast.augment.cuda_backend.device import make_views

    return make_views(recipe, parameters, batch, dtype)
