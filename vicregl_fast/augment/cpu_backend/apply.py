"""Makes one view of every image of a batch, in parallel over the images, without allocating memory for each.

Until its last step, a view lies transposed: [c, x, y]. Shape letters: n images, y rows, x columns, c channels,
p pixels, k chances (``CHANCES``), a adjustments (``ADJUSTMENTS``).
"""

import numba
import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from vicregl_fast.augment.cpu_backend.blur import blur, blur_scratch
from vicregl_fast.augment.cpu_backend.colour import adjust_pixels, jitter
from vicregl_fast.augment.cpu_backend.resize import TILE, crop_resize, resize_scratch
from vicregl_fast.augment.decoded_batch import DecodedBatch
from vicregl_fast.augment.operations import BLUR, FLIP, GREY, JITTER, SATURATION, SOLARISE
from vicregl_fast.augment.parameters import ViewParameters
from vicregl_fast.augment.recipe import ViewRecipe
from vicregl_fast.augment.scalars import ZERO, normalise, solarise

_NEVER = np.float32(1e9)  # a threshold that no value reaches


def apply(recipe: ViewRecipe, parameters: ViewParameters, batch: DecodedBatch) -> Tensor:
    """Makes one view of every image, as ``reference.apply`` does, with Numba's current number of threads.

    The batch's bytes must lie on the CPU.

    Returns:
        float32 [n, 3, size, size] in channels_last memory format, normalised by ImageNet's statistics.
    """
    p, size, threads = parameters, recipe.size, numba.get_num_threads()
    views_nyxc = torch.empty((len(p), size, size, 3))
    _make_views(
        batch.packed.numpy(),
        batch.offsets,
        batch.widths,
        p.boxes,
        p.chosen,
        p.order,
        p.factors,
        p.sigma,
        np.float32(recipe.solarise_threshold),
        resize_scratch(threads, size, p.boxes),
        blur_scratch(threads, size, float(p.sigma.max())),
        np.empty((threads, 2, 3, size, size), np.float32),
        views_nyxc.numpy(),
    )
    return views_nyxc.permute(0, 3, 1, 2)


@njit(parallel=True, nogil=True, cache=True)
def _make_views(
    packed,
    offsets,
    widths,
    boxes_n4,
    chosen_nk,
    order_na,
    factors_na,
    sigma_n,
    threshold,
    resizing,
    blurring,
    planes,
    views_nyxc,
):
    """Fills ``views_nyxc``, float32 [n, size, size, 3].

    Args:
        packed, offsets, widths: of ``DecodedBatch``.
        boxes_n4, chosen_nk, order_na, factors_na, sigma_n: of ``ViewParameters``.
        threshold: float32, level of solarising.
        resizing, blurring: results of ``resize_scratch`` and ``blur_scratch``.
        planes: float32 [threads, 2, 3, size, size], scratch for a resized and a blurred view.
    """
    size = views_nyxc.shape[1]
    for n in prange(len(boxes_n4)):
        thread = numba.get_thread_id()
        resized_cxy, blurred_cxy = planes[thread, 0], planes[thread, 1]
        columns, tile, column, sums, weights = resizing
        scratch = columns[thread], tile[thread], column[thread], sums[thread], weights[thread]
        chosen = chosen_nk[n]
        crop_resize(packed, offsets[n], widths[n], boxes_n4[n], chosen[FLIP], scratch, resized_cxy)
        pixels_cp = resized_cxy.reshape(3, size * size)
        if chosen[JITTER]:
            jitter(pixels_cp, order_na[n], factors_na[n])
        if chosen[GREY]:
            adjust_pixels(pixels_cp, SATURATION, ZERO, ZERO)
        if chosen[BLUR]:
            blur(resized_cxy, sigma_n[n], blurring[0][thread], blurring[1][thread], blurred_cxy)
        _finish(blurred_cxy if chosen[BLUR] else resized_cxy, threshold if chosen[SOLARISE] else _NEVER, views_nyxc[n])


@njit(nogil=True, fastmath=True, cache=True)
def _finish(planes_cxy, threshold, view_yxc):
    """Solarises, normalises and transposes ``planes_cxy`` into ``view_yxc``, both float32, a tile of rows at a time."""
    size = len(view_yxc)
    red, green, blue = planes_cxy[0], planes_cxy[1], planes_cxy[2]
    for low in range(0, size, TILE):
        for x in range(size):
            for y in range(low, min(low + TILE, size)):
                view_yxc[y, x, 0] = normalise(solarise(red[x, y], threshold), 0)
                view_yxc[y, x, 1] = normalise(solarise(green[x, y], threshold), 1)
                view_yxc[y, x, 2] = normalise(solarise(blue[x, y], threshold), 2)
