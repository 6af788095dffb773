"""Images with their feature maps, laid over each other.

Coordinates are in pixels of the image, x to the right and y downwards; pixel k covers k to k + 1. Shape letters: H×W
pixels, C channels, h×w cells of a map.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from vicregl_fast.augment.normalisation import normalise_bytes
from vicregl_fast.models.backbone import Backbone, checked_maps, patch_sides

MULTIPLE = 32
"""Of which the sides of the images that a backbone sees are multiples, so that cells cover them without a rest; of
patches that do not divide it, multiples of the patch."""


@dataclass(frozen=True)
class MappedImage:
    """An image with its feature map, which covers it.

    Attributes:
        image: uint8 [H, W, 3].
        map: float32 [C, h, w], on the CPU.
    """

    image: np.ndarray
    map: Tensor

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top of whatever is drawn over the image."""
        height, width = self.image.shape[:2]
        return 0, width, height, 0

    def cell_at(self, x: float, y: float) -> tuple[int, int]:
        """Row and column of the cell that covers a point of the image."""
        height, width = self.image.shape[:2]
        rows, columns = self.map.shape[1:]
        return int(y * rows / height), int(x * columns / width)


@torch.inference_mode()
def map_images(backbone: Backbone, images: Sequence[np.ndarray], side: int) -> list[MappedImage]:
    """Computes the feature maps of whole images.

    Args:
        backbone: in eval mode.
        images: uint8 [H, W, 3] each.
        side: pixels of the shorter side that the backbone sees; both are rounded to whole cells (``MULTIPLE``).

    Raises:
        UserError: the backbone accepts no image of such a size, or gives no map of cells.
    """
    device, patch = next(backbone.parameters()).device, patch_sides(backbone)
    mapped = []
    for image in images:
        height, width = seen_size(image.shape[0], image.shape[1], side, patch)
        resized = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
        views = normalise_bytes(pil_to_tensor(resized))[None].to(device)
        mapped.append(MappedImage(image, checked_maps(backbone, views).map[0].float().cpu()))
    return mapped


def seen_size(height: int, width: int, side: int, patch: tuple[int, int] = (1, 1)) -> tuple[int, int]:
    """Height and width at which an image is seen whose shorter side is to have ``side`` pixels.

    ``patch`` has the sides of the backbone's patches (``patch_sides``), which tile what is seen.
    """
    scale = side / min(height, width)
    multiples = [MULTIPLE if MULTIPLE % each == 0 else each for each in patch]
    rounded = [max(1, round(each * scale / of)) * of for each, of in zip((height, width), multiples, strict=True)]
    return rounded[0], rounded[1]


def draw_image(axes: Axes, image: np.ndarray) -> None:
    """Draws an image uint8 [H, W, 3] in its own coordinates, without ticks."""
    height, width = image.shape[:2]
    axes.imshow(image, extent=(0, width, height, 0))
    axes.set_axis_off()
