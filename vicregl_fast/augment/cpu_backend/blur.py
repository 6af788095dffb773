"""Gaussian blur of one view, in two passes of which the first leaves its result in a scratch row for the second.

Shape letters: c channels, x columns, y rows. The view lies transposed, so that a row of memory is a column of the view.
"""

import math

import numpy as np
from numba import njit


@njit(inline="always")
def _even(count):
    """Rounds an integer up to an even one."""
    return count + count % 2


def blur_scratch(threads: int, size: int, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns each thread's scratch for views of ``size`` pixels a side and Gaussians of at most ``sigma`` pixels.

    Returns:
        Weights float32 [threads, reach + 1] and rows with their borders float32 [threads, size + 2 * reach].
    """
    reach = _even(math.ceil(3 * sigma))
    return np.empty((threads, reach + 1), np.float32), np.empty((threads, size + 2 * reach), np.float32)


@njit(nogil=True, cache=True)
def blur(planes_cxy, sigma, weights, row, blurred_cxy):
    """Blurs the planes of one view. The border's pixels are repeated beyond the border.

    Args:
        planes_cxy: float32 [3, size, size], not changed.
        sigma: float32, in pixels; the Gaussian is cut at 3 sigma.
        weights, row: one thread's part of ``blur_scratch``.
        blurred_cxy: float32 [3, size, size], the result.
    """
    size = planes_cxy.shape[1]
    reach = _weigh(np.float64(sigma), weights)
    inner = row[reach : reach + size]
    for channel in range(3):
        plane, out = planes_cxy[channel], blurred_cxy[channel]
        for x in range(size):
            _scale(plane[x], weights[0], inner)
            for k in range(1, reach, 2):
                _add_four(
                    plane[max(x - k, 0)],
                    plane[min(x + k, size - 1)],
                    weights[k],
                    plane[max(x - k - 1, 0)],
                    plane[min(x + k + 1, size - 1)],
                    weights[k + 1],
                    inner,
                )
            row[:reach] = inner[0]
            row[reach + size : 2 * reach + size] = inner[size - 1]
            _scale(inner, weights[0], out[x])
            for k in range(1, reach, 2):
                before, after = reach - k, reach + k
                _add_four(
                    row[before : before + size],
                    row[after : after + size],
                    weights[k],
                    row[before - 1 : before - 1 + size],
                    row[after + 1 : after + 1 + size],
                    weights[k + 1],
                    out[x],
                )


@njit(nogil=True, fastmath=True, cache=True)
def _scale(values, weight, out):
    """Writes ``weight * values`` into ``out``; arrays float32 [size]."""
    for y in range(len(out)):
        out[y] = weight * values[y]


@njit(nogil=True, fastmath=True, cache=True)
def _add_four(before, after, weight, far_before, far_after, far_weight, out):
    """Adds two neighbours on either side at once, so that ``out`` is read and written half as often; float32 [size]."""
    for y in range(len(out)):
        out[y] += weight * (before[y] + after[y]) + far_weight * (far_before[y] + far_after[y])


@njit(nogil=True, cache=True)
def _weigh(sigma, weights):
    """Writes the weights, float32, for distances from 0 on, for a float64 sigma in pixels.

    The whole Gaussian, with both sides, sums to 1. Returns the largest distance, made even by a weight of 0.
    """
    radius = math.ceil(3 * sigma)
    total = 0.0
    for k in range(-radius, radius + 1):
        total += math.exp(-0.5 * (k / sigma) ** 2)
    for k in range(radius + 1):
        weights[k] = math.exp(-0.5 * (k / sigma) ** 2) / total
    reach = _even(radius)
    weights[radius + 1 : reach + 1] = 0
    return reach
