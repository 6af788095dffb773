"""Photometric distortion as mmsegmentation 0.x has it (``PhotoMetricDistortion``), its numbers drawn by the caller."""

from dataclasses import dataclass

import cv2
import numpy as np

BRIGHTNESS = 32.0
CONTRAST = SATURATION = (0.5, 1.5)
HUE = 18
_HUES = 180
"""OpenCV's hues of 8 bits, each of two degrees."""


@dataclass(frozen=True)
class Distortion:
    """What is done to an image; each number is None where its operation is left out.

    Attributes:
        brightness: is added to all levels.
        contrast: all levels are multiplied by it.
        contrast_first: whether this happens before saturation and hue change, or after.
        saturation: is multiplied by it.
        hue: is added to hues in steps of two degrees.
    """

    brightness: float | None
    contrast: float | None
    contrast_first: bool
    saturation: float | None
    hue: int | None


def drawn_distortion(strengths: np.ndarray, whether: np.ndarray, contrast_first: float) -> Distortion:
    """Makes a distortion of uniform numbers, each operation with probability 1/2.

    Args:
        strengths: float64 [4] in [0, 1), for brightness, contrast, saturation and hue.
        whether: float64 [4] in [0, 1); an operation is applied where this is below 1/2.
        contrast_first: in [0, 1); contrast comes first where this is below 1/2.
    """
    brightness, contrast, saturation, hue = strengths.tolist()
    applied = (whether < 0.5).tolist()
    return Distortion(
        BRIGHTNESS * (2 * brightness - 1) if applied[0] else None,
        between(*CONTRAST, contrast) if applied[1] else None,
        contrast_first < 0.5,
        between(*SATURATION, saturation) if applied[2] else None,
        int(2 * HUE * hue) - HUE if applied[3] else None,
    )


def distort(pixels: np.ndarray, by: Distortion) -> np.ndarray:
    """Distorts an RGB image, uint8 [H, W, 3]."""
    if by.brightness is not None:
        pixels = _levels(pixels, 1.0, by.brightness)
    if by.contrast is not None and by.contrast_first:
        pixels = _levels(pixels, by.contrast, 0.0)
    if by.saturation is not None or by.hue is not None:
        hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
        if by.saturation is not None:
            hsv[:, :, 1] = _levels(hsv[:, :, 1], by.saturation, 0.0)
        if by.hue is not None:
            hsv[:, :, 0] = np.roll(np.arange(_HUES, dtype=np.uint8), -by.hue)[hsv[:, :, 0]]
        pixels = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    if by.contrast is not None and not by.contrast_first:
        pixels = _levels(pixels, by.contrast, 0.0)
    return pixels


def between(low: float, high: float, share: float) -> float:
    """The number at this share, 0 to 1, of the way from ``low`` to ``high``."""
    return low + (high - low) * share


def _levels(levels: np.ndarray, factor: float, shift: float) -> np.ndarray:
    """levels · factor + shift, clipped and rounded down, uint8; by a table."""
    table = np.clip(np.arange(256) * factor + shift, 0, 255).astype(np.uint8)
    return table[levels]
