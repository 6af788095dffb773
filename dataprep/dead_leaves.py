"""Draws backgrounds with the statistics of natural images, by the dead-leaves model.

Baradad et al., "Learning to See by Looking at Noise", NeurIPS 2021. All colours are RGB in levels 0 to 255.
"""

import cv2
import numpy as np
from numpy.random import Generator

SUPERSAMPLING = 2  # of each side, for smooth edges
LEAVES = 160
MIDDLE_GREY = 127.5
LEAF_CONTRAST = 0.5  # as a share of the contrast of random_colours
SMALLEST, LARGEST = 0.05, 0.5  # radii of leaves, as shares of the shorter side


def dead_leaves(generator: Generator, height: int, width: int) -> np.ndarray:
    """Draws shaded and mottled discs, rectangles and polygons that occlude each other; their radii r have density r^-3.

    Returns:
        float32 [height, width, 3]; noise takes a few values outside of 0 to 255.
    """
    ids = _leaf_ids(generator, height * SUPERSAMPLING, width * SUPERSAMPLING)
    image = _leaf_colours(generator, LEAVES + 1)[ids]
    image += _shading(generator, ids)[..., None]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def noise(generator: Generator, height: int, width: int, cell: float) -> np.ndarray:
    """Draws smooth noise float32 [height, width] of unit variance, which varies over about ``cell`` pixels."""
    grid_size = (int(height / cell) + 3, int(width / cell) + 3)
    grid = generator.standard_normal(grid_size, np.float32)
    field = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return field / (field.std() + 1e-6)


def random_colours(generator: Generator, count: int) -> np.ndarray:
    """Draws colours float32 [count, 3]: a grey level from 30 to 225, plus normal noise per channel that tints it."""
    grey = generator.uniform(30, 225, (count, 1))
    return np.clip(grey + generator.normal(0, 25, (count, 3)), 0, 255).astype(np.float32)


def polygon(generator: Generator, centre: np.ndarray, radius: float) -> np.ndarray:
    """Draws a disc, a rectangle or an irregular polygon.

    Args:
        generator: of the random numbers.
        centre: float64 [2], x and y in pixels.
        radius: in pixels; corners of an irregular polygon lie at 0.6 to 1.2 times this distance.

    Returns:
        Its corners (x, y) in pixels, float64 [k, 2].
    """
    kind = generator.integers(3)
    if kind == 0:
        return centre + radius * DISC
    if kind == 1:
        half, turn = generator.uniform((0.2, 0), (1.37, np.pi))
        angles = turn + np.array([half, np.pi - half, np.pi + half, -half])
        return centre + radius * _directions(angles)
    corners = int(generator.integers(3, 8))
    angles = np.sort(generator.uniform(0, 2 * np.pi, corners))
    return centre + radius * generator.uniform(0.6, 1.2, (corners, 1)) * _directions(angles)


def _directions(angles: np.ndarray) -> np.ndarray:
    return np.array([np.cos(angles), np.sin(angles)]).T


DISC = _directions(np.linspace(0, 2 * np.pi, 48, endpoint=False))


def _leaf_ids(generator: Generator, height: int, width: int) -> np.ndarray:
    """Draws which leaf, 1 to LEAVES, is on top at each pixel, int32 [height, width]; 0 where there is none."""
    ids = np.zeros((height, width), np.int32)
    low, high = (share * min(height, width) for share in (SMALLEST, LARGEST))
    # The inverse of the cumulative distribution function of the density r^-3 between low and high.
    radii = (low**-2 - generator.uniform(size=LEAVES) * (low**-2 - high**-2)) ** -0.5
    centres = generator.uniform(0, (width, height), (LEAVES, 2))
    for index in range(LEAVES):
        corners = polygon(generator, centres[index], radii[index])
        cv2.fillPoly(ids, [np.round(corners).astype(np.int32)], index + 1)
    return ids


def _leaf_colours(generator: Generator, count: int) -> np.ndarray:
    """Draws colours float32 [count, 3], with the same distribution in every picture.

    A picture with a palette of its own could be recognised by its background, whatever objects stand before it.
    """
    return MIDDLE_GREY + LEAF_CONTRAST * (random_colours(generator, count) - MIDDLE_GREY)


def _shading(generator: Generator, ids: np.ndarray) -> np.ndarray:
    """Draws what light adds to the levels, float32 [height, width].

    Each leaf (``ids``, int32 [height, width]) has a linear slope and a strength of mottling of its own.
    """
    height, width = ids.shape
    slopes = generator.normal(0, 50, (2, LEAVES + 1)).astype(np.float32)
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)
    light = slopes[0][ids] * x + slopes[1][ids] * y
    for cell, strength in ((3, 4), (10, 5), (40, 6)):
        amplitude = generator.gamma(1.0, strength, LEAVES + 1).astype(np.float32)
        light += amplitude[ids] * noise(generator, height, width, cell)
    return light
