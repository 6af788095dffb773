"""Runs the CUDA kernels on ``cuda_cases`` in Numba's simulator, and saves what they made.

By ``NUMBA_ENABLE_CUDASIM=1 python -m tests.augment.cuda_simulator FILE``, in a process of its own, since the variable
turns all of Numba's CUDA into the simulator.
"""

import sys

import numpy as np
from numba import cuda

from tests.augment.cuda_cases import NAMES, RECIPE, batch, parameters
from vicregl_fast.augment.cuda_backend.bfloat16 import bfloat16_encoder
from vicregl_fast.augment.cuda_backend.finish import RUN, SIDE, finish_kernel
from vicregl_fast.augment.cuda_backend.launch import Tiles, launch
from vicregl_fast.augment.cuda_backend.samples import SAMPLE, fill_samples

# Small blocks, since each of their threads is one of Python's, of which neither side divides the view's.
TILES = Tiles(rows=4, columns=4, side=8)


@cuda.jit(device=True, inline="always")
def _as_stored(value):
    return value


def _float_as_int(value):
    return np.float32(value).view(np.int32)


def main(path: str) -> None:
    images, drawn = batch(), parameters()
    samples = np.zeros(len(drawn), SAMPLE)
    fill_samples(samples, drawn, images)
    views = np.full((len(drawn), RECIPE.size, 3 * RECIPE.size), np.nan, np.float32)
    arrays = {}

    def empty(shape: tuple[int, ...], name: str) -> np.ndarray:
        arrays[name] = np.full(shape, 77, name)
        return arrays[name]

    longest = int(drawn.boxes[:, 2:].max())
    finish = finish_kernel(_as_stored)
    launch(finish, samples, images.packed.numpy(), longest, RECIPE.solarise_threshold, views, empty, tiles=TILES)

    levels, totals = arrays["uint8"], arrays["int64"]
    last = slice(len(drawn) - 1, None)
    halves, bits = np.zeros_like(views[last], np.float16), np.zeros_like(views[last], np.int16)
    for kernel, stored in ((finish, halves), (finish_kernel(bfloat16_encoder(_float_as_int)), bits)):
        kernel[(2, 2, 1), (8, 2)](samples[last], levels[last], totals[last], RECIPE.solarise_threshold, stored)
    # In the largest block and with the widest blur, which fill the shared memory.
    blurred = slice(NAMES.index("blur"), NAMES.index("blur") + 1)
    full = np.zeros_like(views[blurred])
    finish[(1, 1, 1), (SIDE, SIDE // RUN)](
        samples[blurred], levels[blurred], totals[blurred], RECIPE.solarise_threshold, full
    )
    made = {"views": views, "halves": halves, "bfloat16_bits": bits, "full": full}
    images_nyxc = {name: array.reshape(-1, RECIPE.size, RECIPE.size, 3) for name, array in made.items()}
    np.savez(path, levels=levels, **images_nyxc)


if __name__ == "__main__":
    main(sys.argv[1])
