"""Gaussian blur of the planes of one view, separable, through one row."""

import math

import numpy as np
from numba import njit


@njit(inline="always")
def _even(count):
    return count + count % 2


def blur_scratch(threads: int, size: int, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Each thread's room for weights and for a row with its borders, for Gaussians of up to ``sigma``."""
    reach = _even(math.ceil(3 * sigma))
    return np.empty((threads, reach + 1), np.float32), np.empty((threads, size + 2 * reach), np.float32)


@njit(nogil=True, cache=True)
def blur(planes_cxy, sigma, weights, row, blurred_cxy):
    """Writes planes [3, size, size], blurred, beyond whose border lie copies of the border's pixels.

    Args:
        planes_cxy: float32, left as they are.
        sigma: float32, in pixels; the Gaussian is cut at three of them.
        weights, row: what ``blur_scratch`` gives, of one thread.
        blurred_cxy: the result.
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
    for y in range(len(out)):
        out[y] = weight * values[y]


@njit(nogil=True, fastmath=True, cache=True)
def _add_four(before, after, weight, far_before, far_after, far_weight, out):
    """Two neighbours to either side, at once: so ``out`` is read and written half as often."""
    for y in range(len(out)):
        out[y] += weight * (before[y] + after[y]) + far_weight * (far_before[y] + far_after[y])


@njit(nogil=True, cache=True)
def _weigh(sigma, weights):
    """Writes one half of the Gaussian, the middle included, the whole of which sums to 1; gives its even reach."""
    radius = math.ceil(3 * sigma)
    total = 0.0
    for k in range(-radius, radius + 1):
        total += math.exp(-0.5 * (k / sigma) ** 2)
    for k in range(radius + 1):
        weights[k] = math.exp(-0.5 * (k / sigma) ** 2) / total
    reach = _even(radius)
    weights[radius + 1 : reach + 1] = 0
    return reach
