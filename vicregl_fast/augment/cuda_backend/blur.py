"""The weights of a Gaussian blur."""

import math

import numpy as np
from numba import cuda

from vicregl_fast.augment.scalars import HALF, ZERO


@cuda.jit(device=True, inline="always")
def _bell(distance, sigma):
    """Returns an unnormalised Gaussian, float32, at a distance, int32, in pixels; ``sigma`` is float32, in pixels."""
    ratio = np.float32(distance) / sigma
    return np.float32(math.exp(-HALF * ratio * ratio))


@cuda.jit(device=True, inline="always")
def fill_gaussian(weights, sigma, radius, thread, threads):
    """Writes the weights of a Gaussian, cut at ``radius``, which sum to 1.

    Args:
        weights: float32 array, the result: 2 * radius + 1 weights, then zeros to its end.
        sigma: float32, in pixels.
        radius: int32, in pixels.
        thread, threads: int32, number of this thread and how many share the work.
    """
    total = ZERO
    for distance in range(-radius, radius + 1):
        total += _bell(distance, sigma)
    for k in range(thread, len(weights), threads):
        weights[k] = _bell(k - radius, sigma) / total if k <= 2 * radius else ZERO
