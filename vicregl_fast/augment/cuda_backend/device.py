"""Runs the kernels from torch: copies the parameters in one go, takes memory, and passes on the device and its stream.

Shape letters: n samples, y rows, j values of a row, 3 * column + channel.
"""

from functools import lru_cache, partial

import torch
from numba import cuda
from numba.cuda import libdevice
from torch import Tensor

from vicregl_fast.augment.cuda_backend.bfloat16 import bfloat16_encoder
from vicregl_fast.augment.cuda_backend.finish import finish_kernel
from vicregl_fast.augment.cuda_backend.installed import keep_row_stack
from vicregl_fast.augment.cuda_backend.launch import launch
from vicregl_fast.augment.cuda_backend.samples import SAMPLE, fill_samples
from vicregl_fast.augment.decoded_batch import DecodedBatch
from vicregl_fast.augment.parameters import ViewParameters
from vicregl_fast.augment.recipe import ViewRecipe

keep_row_stack()  # here, too, for callers that have not asked ``why_unusable``


@cuda.jit(device=True, inline="always")
def _as_stored(value):
    """Returns the float32 as it is, since Numba converts it to float32 or float16 when it is stored."""
    return value


_STORED = finish_kernel(_as_stored)
FINISH = {
    torch.float32: _STORED,
    torch.float16: _STORED,
    torch.bfloat16: finish_kernel(bfloat16_encoder(libdevice.float_as_int)),
}


def make_views(recipe: ViewRecipe, parameters: ViewParameters, batch: DecodedBatch, dtype: torch.dtype) -> Tensor:
    """Does what ``apply.apply`` says. Scratch memory is torch's, which reuses it only for later work of this stream."""
    device = batch.packed.device
    with torch.cuda.device(device):
        views_nyj = torch.empty((len(parameters), recipe.size, 3 * recipe.size), dtype=dtype, device=device)
        launch(
            FINISH[dtype],
            cuda.as_cuda_array(_samples_on(device, parameters, batch)).view(SAMPLE),
            cuda.as_cuda_array(batch.packed),
            int(parameters.boxes[:, 2:].max()),
            recipe.solarise_threshold,
            cuda.as_cuda_array(views_nyj.view(torch.int16) if dtype == torch.bfloat16 else views_nyj),
            partial(_empty, device),
            _stream(device, torch.cuda.current_stream().cuda_stream),
        )
    return views_nyj.view(len(parameters), recipe.size, recipe.size, 3).permute(0, 3, 1, 2)


def _samples_on(device: torch.device, parameters: ViewParameters, batch: DecodedBatch) -> Tensor:
    """Returns the bytes of the records, uint8, copied from page-locked memory, so that the host need not wait."""
    samples = torch.empty(len(parameters) * SAMPLE.itemsize, dtype=torch.uint8, pin_memory=True)
    fill_samples(samples.numpy().view(SAMPLE), parameters, batch)
    return samples.to(device, non_blocking=True)


@lru_cache
def _stream(device: torch.device, handle: int):
    """Numba's object for torch's stream, the same each time: Numba keeps configured kernels by it."""
    return cuda.external_stream(handle)


def _empty(device: torch.device, shape: tuple[int, ...], name: str):
    """Returns an array for Numba in torch's memory; ``name`` is that of its dtype."""
    return cuda.as_cuda_array(torch.empty(shape, dtype=getattr(torch, name), device=device))
