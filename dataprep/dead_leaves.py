"""Backgrounds with natural image statistics: dead leaves.

Baradad et al., "Learning to See by Looking at Noise", NeurIPS 2021.
"""

import cv2
import numpy as np
from numpy.random import Generator

SUPERSAMPLING = 2
LEAVES = 160
MIDDLE_GREY = 127.5
LEAF_CONTRAST = 0.5  # over that of random colours
SMALLEST, LARGEST = 0.05, 0.5  # radii as shares of the shorter side


def dead_leaves(generator: Generator, height: int, width: int) -> np.ndarray:
    """Draws occluding discs, rectangles and polygons, their radii with density r^-3, shaded and mottled.

    Returns float32 [height, width, 3], values about 0 to 255.
    """
    ids = _leaf_ids(generator, height * SUPERSAMPLING, width * SUPERSAMPLING)
    image = _leaf_colours(generator, LEAVES + 1)[ids]
    image += _shading(generator, ids)[..., None]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def noise(generator: Generator, height: int, width: int, cell: float) -> np.ndarray:
    """Smooth noise float32 [height, width] of unit variance, varying over about ``cell`` pixels."""
    grid_size = (int(height / cell) + 3, int(width / cell) + 3)
    grid = generator.standard_normal(grid_size, np.float32)
    field = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return field / (field.std() + 1e-6)


def random_colours(generator: Generator, count: int) -> np.ndarray:
    """float32 [count, 3] RGB: lightness over the whole range, muted saturation, any hue."""
    grey = generator.uniform(30, 225, (count, 1))
    return np.clip(grey + generator.normal(0, 25, (count, 3)), 0, 255).astype(np.float32)


def polygon(generator: Generator, centre: np.ndarray, radius: float) -> np.ndarray:
    """Corners float64 [k, 2] of a random disc, rectangle or irregular polygon about ``centre`` (x, y)."""
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
    """int32 [height, width]: which leaf is on top, 0 where there is none."""
    ids = np.zeros((height, width), np.int32)
    low, high = (share * min(height, width) for share in (SMALLEST, LARGEST))
    # inverse of the cumulative distribution of r^-3 between low and high
    radii = (low**-2 - generator.uniform(size=LEAVES) * (low**-2 - high**-2)) ** -0.5
    centres = generator.uniform(0, (width, height), (LEAVES, 2))
    for index in range(LEAVES):
        corners = polygon(generator, centres[index], radii[index])
        cv2.fillPoly(ids, [np.round(corners).astype(np.int32)], index + 1)
    return ids


def _leaf_colours(generator: Generator, count: int) -> np.ndarray:
    """One palette for all pictures: else a picture would be known by its background, whatever stands before it."""
    return MIDDLE_GREY + LEAF_CONTRAST * (random_colours(generator, count) - MIDDLE_GREY)


def _shading(generator: Generator, ids: np.ndarray) -> np.ndarray:
    """Light float32 [height, width]: a slope across every leaf, and mottling of each leaf's own strength."""
    height, width = ids.shape
    slopes = generator.normal(0, 50, (2, LEAVES + 1)).astype(np.float32)
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)
    light = slopes[0][ids] * x + slopes[1][ids] * y
    for cell, strength in ((3, 4), (10, 5), (40, 6)):
        amplitude = generator.gamma(1.0, strength, LEAVES + 1).astype(np.float32)
        light += amplitude[ids] * noise(generator, height, width, cell)
    return light
