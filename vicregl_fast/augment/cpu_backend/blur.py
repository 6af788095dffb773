"""Gaussian blur of the planes of one view, separable, through one row."""

import math

import numpy as np
from numba import njit


def blur_scratch(threads: int, size: int, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Each thread's room for weights and for a row with its borders, for Gaussians of up to ``sigma``."""
    radius = math.ceil(3 * sigma)
    return np.empty((threads, radius + 1), np.float32), np.empty((threads, size + 2 * radius), np.float32)


@njit(nogil=True, fastmath=True, cache=True)
def blur(planes_cxy, sigma, weights, row, blurred_cxy):
    """Writes planes [3, size, size], blurred, beyond whose border lie copies of the border's pixels.

    Args:
        planes_cxy: float32, left as they are.
        sigma: float32, in pixels; the Gaussian is cut at three of them.
        weights, row: what ``blur_scratch`` gives, of one thread.
        blurred_cxy: the result.
    """
    size = planes_cxy.shape[1]
    radius = math.ceil(3 * np.float64(sigma))
    _weigh(np.float64(sigma), radius, weights)
    for channel in range(3):
        plane, out = planes_cxy[channel], blurred_cxy[channel]
        for x in range(size):
            inner = row[radius : radius + size]
            for y in range(size):
                inner[y] = weights[0] * plane[x, y]
            for k in range(1, radius + 1):
                before, after, weight = plane[max(x - k, 0)], plane[min(x + k, size - 1)], weights[k]
                for y in range(size):
                    inner[y] += weight * (before[y] + after[y])
            row[:radius] = inner[0]
            row[radius + size : 2 * radius + size] = inner[size - 1]
            _along(row, radius, weights, out[x])


@njit(nogil=True, fastmath=True, cache=True)
def _along(row, radius, weights, out):
    size = len(out)
    middle = row[radius : radius + size]
    for y in range(size):
        out[y] = weights[0] * middle[y]
    for k in range(1, radius + 1):
        before, after, weight = row[radius - k : radius - k + size], row[radius + k : radius + k + size], weights[k]
        for y in range(size):
            out[y] += weight * (before[y] + after[y])


@njit(nogil=True, cache=True)
def _weigh(sigma, radius, weights):
    """One half of the Gaussian, the middle included, the whole of which sums to 1."""
    total = 0.0
    for k in range(-radius, radius + 1):
        total += math.exp(-0.5 * (k / sigma) ** 2)
    for k in range(radius + 1):
        weights[k] = math.exp(-0.5 * (k / sigma) ** 2) / total
