"""Makes views by one of three backends: plain torch (the reference), Numba on the CPU, or Numba on CUDA."""

import numba
import torch
from torch import Tensor

from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.augment import reference
from vicregl_fast.augment.cpu_backend import apply as cpu_backend
from vicregl_fast.augment.cuda_backend import apply as cuda_backend
from vicregl_fast.augment.cuda_backend.installed import why_unusable
from vicregl_fast.augment.decoded_batch import DecodedBatch
from vicregl_fast.augment.parameters import ViewParameters
from vicregl_fast.augment.recipe import Backend, BackendChoice, ViewRecipe


def choose_backend(wanted: BackendChoice, device: torch.device) -> Backend:
    """Returns ``wanted``, or for ``auto`` the fastest available backend for views that are needed on ``device``.

    Raises:
        UserError: ``cuda`` is wanted, but ``device`` is no GPU or numba-cuda cannot be used.
    """
    if wanted == "auto" and device.type == "cpu":
        return "numba"
    if wanted == "cuda" and device.type != "cuda":
        raise UserError(f"views.backend cuda needs a CUDA device, and this run is on {device.type}; leave it at auto")
    if wanted in ("torch", "numba"):
        return wanted
    if (reason := why_unusable()) is None:
        return "cuda"
    remedy = "pip install 'vicregl_fast[cuda]' (cuda12 where torch is built for CUDA 12)"
    if wanted == "cuda":
        raise UserError(f"views.backend cuda needs numba-cuda, which {reason}: {remedy}, or choose torch")
    note(f"views are made by torch, which takes longer, since numba-cuda {reason}: {remedy}", once=True)
    return "torch"


def make_view(
    backend: Backend,
    recipe: ViewRecipe,
    parameters: ViewParameters,
    batch: DecodedBatch,
    threads: int,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Makes one view of each of the b images of a batch, on the device where the batch's bytes lie.

    Args:
        backend: ``numba`` needs the bytes on the CPU, ``cuda`` on a GPU.
        recipe: only its view size and solarising threshold are used; all else is in ``parameters``.
        parameters: what is done to each image, in the order of the batch.
        batch: decoded images.
        threads: how many CPU threads the ``numba`` backend uses.
        dtype: of the view; float32, float16 or bfloat16.

    Returns:
        ``dtype`` [b, 3, size, size] in channels_last memory format, normalised by ImageNet's statistics.
    """
    if backend == "cuda":
        return cuda_backend.apply(recipe, parameters, batch, dtype)
    if backend == "numba":
        numba.set_num_threads(threads)
        return cpu_backend.apply(recipe, parameters, batch).to(dtype)
    return reference.apply(recipe, parameters, batch.images()).to(dtype)
