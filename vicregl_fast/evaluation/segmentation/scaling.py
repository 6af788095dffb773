"""Resizes images and masks as mmsegmentation does: within a long and a short side, keeping the aspect ratio."""

import cv2
import numpy as np

from vicregl_fast.evaluation.segmentation.config import Sides


def size_within(size: Sides, base_size: Sides) -> Sides:
    """The largest size of the same aspect ratio whose long and short side do not exceed those of ``base_size``.

    Args:
        size: height and width in pixels.
        base_size: the longest and the shortest side.
    """
    factor = min(max(base_size) / max(size), min(base_size) / min(size))
    height, width = (max(1, int(side * factor + 0.5)) for side in size)
    return height, width


def resize_pixels(pixels: np.ndarray, size: Sides) -> np.ndarray:
    """Resizes an image, uint8 [H, W, 3], bilinearly and without antialiasing, to a height and width."""
    return pixels if pixels.shape[:2] == size else cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_LINEAR)


def resize_mask(mask: np.ndarray, size: Sides) -> np.ndarray:
    """Resizes a mask, int16 [H, W], to a height and width: each pixel takes the label of the nearest centre."""
    return mask if mask.shape == size else cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
