"""The weights of a Gaussian blur."""

import math

import numpy as np
from numba import cuda

from vicregl_fast.augment.scalars import HALF, ZERO


@cuda.jit(device=True, inline="always")
def _bell(distance, sigma):
    ratio = np.float32(distance) / sigma
    return np.float32(math.exp(-HALF * ratio * ratio))


@cuda.jit(device=True, inline="always")
def fill_gaussian(weights, sigma, radius, thread, threads):
    """Writes the 2 * radius + 1 weights, which sum to 1, and zeros behind them; ``threads`` threads share the work."""
    total = ZERO
    for distance in range(-radius, radius + 1):
        total += _bell(distance, sigma)
    for k in range(thread, len(weights), threads):
        weights[k] = _bell(k - radius, sigma) / total if k <= 2 * radius else ZERO
