"""The eight classes of the demo's image set: each has its own outline and texture, and a typical hue.

Positions (x, y) in the image are in pixels. Coordinates (u, v) of an object have their origin at its centre and its
radius as their unit. Colours are RGB in levels 0 to 255.
"""

import colorsys
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from dataprep.dead_leaves import noise, random_colours

OVERSAMPLING = 4  # of each side when outlines are filled, for smooth edges
LEAST_CONTRAST = 60  # levels between the means of an object's two colours
HUE_SPREAD = 0.03  # standard deviation in a class, in turns; neighbouring classes are an eighth of a turn apart

Contours = list[np.ndarray]
"""Corners of closed outlines, float64 [k, 2]; a second outline is a hole. Those of CLASSES lie within the unit disc."""
Texture = Callable[[Generator, np.ndarray, np.ndarray, float], np.ndarray]
"""Maps generator, u, v and frequency (about periods per radius) to a field [h, w], whose sign selects a colour."""


@dataclass(frozen=True)
class Pose:
    """Where an object lies in an image.

    Attributes:
        x: of the centre, in pixels.
        y: of the centre, in pixels.
        radius: in pixels.
        angle: in radians.
        squash: ratio of the axis along v to the one along u.
    """

    x: float
    y: float
    radius: float
    angle: float
    squash: float


def draw_object(generator: Generator, name: str, pose: Pose, image: np.ndarray) -> np.ndarray:
    """Draws one object of class ``name`` into ``image``, float32 [h, w, 3], which is changed in place.

    Returns:
        bool [h, w]: the pixels that it covers by at least half.
    """
    contours, texture = CLASSES[name]
    alpha = coverage([_place(contour, pose) for contour in contours], *image.shape[:2])
    u, v = _object_coordinates(pose, *image.shape[:2])
    frequency = generator.uniform(2.0, 2.9)
    field = texture(generator, u, v, frequency)
    # The slope of a sine at 0 is 2 pi f / radius per pixel; divided by it, the edge between colours is one pixel wide.
    share = np.clip(0.5 + field * pose.radius / (2 * np.pi * frequency), 0, 1)[..., None]
    first, second = _two_colours(generator, list(CLASSES).index(name) / len(CLASSES))
    light = 1 + generator.uniform(0, 0.3) * (u * np.cos(pose.angle) + v * np.sin(pose.angle))
    grain = generator.normal(0, generator.uniform(1, 7), u.shape)
    paint = (first + (second - first) * share) * light[..., None] + grain[..., None]
    image += alpha[..., None] * (paint - image)
    return alpha >= 0.5


def coverage(contours: Contours, height: int, width: int) -> np.ndarray:
    """The share of every pixel that lies inside the outlines (x, y in pixels), float32 [height, width] from 0 to 1."""
    fine = np.zeros((height * OVERSAMPLING, width * OVERSAMPLING), np.uint8)
    corners = [np.round(contour * OVERSAMPLING - 0.5).astype(np.int32) for contour in contours]
    cv2.fillPoly(fine, corners, 255)
    return cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _place(contour: np.ndarray, pose: Pose) -> np.ndarray:
    cos, sin = np.cos(pose.angle), np.sin(pose.angle)
    turned = (contour * [1, pose.squash]) @ np.array([[cos, sin], [-sin, cos]])
    return turned * pose.radius + [pose.x, pose.y]


def _object_coordinates(pose: Pose, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """(u, v) at the centres of all pixels, each float32 [height, width]: the inverse of ``_place``."""
    x = (np.arange(width, dtype=np.float32) + 0.5 - pose.x) / pose.radius
    y = ((np.arange(height, dtype=np.float32) + 0.5 - pose.y) / pose.radius)[:, None]
    cos, sin = np.float32(np.cos(pose.angle)), np.float32(np.sin(pose.angle))
    return x * cos + y * sin, (y * cos - x * sin) / np.float32(pose.squash)


def _two_colours(generator: Generator, hue: float) -> np.ndarray:
    """Draws a strong colour near ``hue`` (turns) and a much lighter or darker one, float32 [2, 3], in random order."""
    while True:
        hue_turned = (hue + generator.normal(0, HUE_SPREAD)) % 1
        strong = colorsys.hsv_to_rgb(hue_turned, generator.uniform(0.6, 0.95), generator.uniform(0.6, 1.0))
        colours = np.stack([255 * np.array(strong, np.float32), random_colours(generator, 1)[0]])
        if abs(colours[0].mean() - colours[1].mean()) >= LEAST_CONTRAST:
            return colours[generator.permutation(2)]


def _polar(radii: list[float]) -> np.ndarray:
    angles = np.arange(len(radii)) * 2 * np.pi / len(radii)
    return np.array(radii)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _crescent() -> np.ndarray:
    outer = np.linspace(0.25 * np.pi, 1.75 * np.pi, 48)
    inner = np.linspace(1.70 * np.pi, 0.30 * np.pi, 48)
    arcs = (
        np.stack([np.cos(outer), np.sin(outer)], 1),
        np.stack([0.62 * np.cos(inner) + 0.38, 0.72 * np.sin(inner)], 1),
    )
    return np.concatenate(arcs)


def _cross() -> np.ndarray:
    a, b = 0.34, 0.94
    quarter = np.array([[b, -a], [b, a], [a, a]])
    turns = [np.linalg.matrix_power(np.array([[0, 1], [-1, 0]]), k) for k in range(4)]
    return np.concatenate([quarter @ turn for turn in turns])


def _stripes(generator: Generator, u: np.ndarray, v: np.ndarray, frequency: float) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * u + generator.uniform(0, 2 * np.pi))


def _checks(generator: Generator, u: np.ndarray, v: np.ndarray, frequency: float) -> np.ndarray:
    phase = generator.uniform(0, 2 * np.pi, 2)
    return np.sin(np.pi * frequency * u + phase[0]) * np.sin(np.pi * frequency * v + phase[1]) * 2


def _dots(generator: Generator, u: np.ndarray, v: np.ndarray, frequency: float) -> np.ndarray:
    phase = generator.uniform(0, 2 * np.pi, 2)
    return np.cos(2 * np.pi * frequency * u + phase[0]) + np.cos(2 * np.pi * frequency * v + phase[1]) - 0.7


def _rings(generator: Generator, u: np.ndarray, v: np.ndarray, frequency: float) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.hypot(u, v) + generator.uniform(0, 2 * np.pi))


def _zigzags(generator: Generator, u: np.ndarray, v: np.ndarray, frequency: float) -> np.ndarray:
    tooth = np.abs((v * frequency * 0.9 + generator.uniform()) % 1 - 0.5)
    return np.sin(2 * np.pi * (frequency * u + 1.3 * tooth))


def _grid(generator: Generator, u: np.ndarray, v: np.ndarray, frequency: float) -> np.ndarray:
    phase = generator.uniform(0, 2 * np.pi, 2)
    lines = np.cos(2 * np.pi * frequency * u + phase[0]), np.cos(2 * np.pi * frequency * v + phase[1])
    return np.maximum(*lines) - 0.75


def _rays(generator: Generator, u: np.ndarray, v: np.ndarray, frequency: float) -> np.ndarray:
    spokes = round(3 * frequency)
    # Near the centre, where rays meet, a sine of the angle alone would change too fast for a pixel.
    return np.sin(spokes * np.arctan2(v, u)) * np.minimum(np.hypot(u, v) * 2, 1)


def _blotches(generator: Generator, u: np.ndarray, v: np.ndarray, frequency: float) -> np.ndarray:
    height, width = u.shape
    step = float(np.hypot(u[0, 1] - u[0, 0], v[0, 1] - v[0, 0]))  # of u, v from one pixel to the next
    return noise(generator, height, width, 0.5 / (frequency * step))


CLASSES: dict[str, tuple[Contours, Texture]] = {
    "blotched_ring": ([_polar([1.0] * 64), _polar([0.5] * 48)], _blotches),
    "checkered_square": ([_polar([1.0] * 4)], _checks),
    "dotted_triangle": ([_polar([1.0] * 3)], _dots),
    "gridded_cross": ([_cross()], _grid),
    "rayed_hexagon": ([_polar([1.0] * 6)], _rays),
    "ringed_star": ([_polar([1.0, 0.5] * 5)], _rings),
    "striped_disc": ([_polar([1.0] * 64)], _stripes),
    "zigzag_crescent": ([_crescent()], _zigzags),
}
"""Outline and texture of every class, in the order of the class indices 0 to 7 (1 to 8 in masks)."""
