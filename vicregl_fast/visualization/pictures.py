"""What pictures of views share: pixels as they were before normalising, and the box of a crop."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from vicregl_fast.augment.reference import MEAN, STD


def pictures_of(view: Tensor) -> np.ndarray:
    """Normalised views [b, 3, S, S] as uint8 [b, S, S, 3]."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    pixels = view.float().cpu() * std + mean
    return pixels.mul(255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()


def draw_box(axes: Axes, box: tuple[int, int, int, int], colour: str) -> None:
    """The crop (top, left, height, width) in an image that is drawn in pixels."""
    top, left, height, width = box
    for line_width, line_colour in ((4.5, "black"), (2.5, colour)):
        axes.add_patch(Rectangle((left, top), width, height, fill=False, lw=line_width, ec=line_colour))
