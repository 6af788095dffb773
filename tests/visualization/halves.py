"""Drawn images of two halves, and how they look to a backbone that sees mean colours."""

import numpy as np

from tests.evaluation.stand_in import MeanColour
from vicregl_fast.visualization.mapped_image import MappedImage, map_images

RED, BLUE = (230, 40, 40), (40, 40, 230)


def halves(left: tuple[int, int, int], right: tuple[int, int, int], height: int = 64, width: int = 96) -> np.ndarray:
    """An image of two colours, uint8 [height, width, 3]."""
    image = np.empty((height, width, 3), np.uint8)
    image[:, : width // 2], image[:, width // 2 :] = left, right
    return image


def mapped(*images: np.ndarray, side: int = 64) -> list[MappedImage]:
    """The images with their mean colours in cells of eight pixels of a shorter side of ``side``."""
    return map_images(MeanColour(stride=8).eval(), images, side)
