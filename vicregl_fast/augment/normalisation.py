"""Converts between colour levels (0 to 255) and what networks see: (level / 255 - mean) / deviation, by channel.

Mean and deviation are ImageNet's and stand only here. Each function below is the fastest for one layout of pixels in
memory; the compiled backends use ``scalars.normalise``. All give the same values up to rounding.

Shape letters: n images, h rows, w columns, 3 channels (red, green, blue).
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)  # of red, green and blue, where white is 1
STD = (0.229, 0.224, 0.225)
LEVEL_MEANS = np.array([255 * mean for mean in MEAN], np.float32)
LEVEL_SCALES = np.array([1 / (255 * std) for std in STD], np.float32)


def normalise_planes(levels_n3hw: Tensor, out_n3hw: Tensor) -> None:
    """Normalises levels, float32 [n, 3, h, w], into ``out_n3hw`` of any memory format, and overwrites the levels.

    It works channel by channel, since torch is slow at changing the memory format of all channels at once.
    """
    for channel, (mean, std) in enumerate(zip(MEAN, STD, strict=True)):
        out_n3hw[:, channel] = levels_n3hw[:, channel].sub_(255 * mean).mul_(1 / (255 * std))


def normalise_bytes(pixels: Tensor) -> Tensor:
    """Normalises pixels, uint8 [..., 3, h, w], to float32 of the same shape."""
    mean, std = (torch.tensor(values, device=pixels.device).view(3, 1, 1) for values in (MEAN, STD))
    return pixels.float().mul_(1 / 255).sub_(mean).div_(std)


def normalise_rows(pixels_nhw3: Tensor) -> Tensor:
    """Normalises pixels, uint8 [n, h, w, 3], to float32 [n, 3, h, w] in channels_last memory format."""
    n, height, width = pixels_nhw3.shape[:3]
    # Statistics are repeated for a whole row, since torch is slow at broadcasting along three channels.
    scale, shift = _row_of_statistics(width, pixels_nhw3.device)
    rows = pixels_nhw3.view(n * height, width * 3).float().mul_(scale).add_(shift)
    return rows.view(n, height, width, 3).permute(0, 3, 1, 2)


def levels_of(views_n3hw: Tensor) -> np.ndarray:
    """Turns normalised views, of any float dtype, back into levels, uint8 [n, h, w, 3]."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    pixels = views_n3hw.float().cpu() * std + mean
    return pixels.mul(255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()


@lru_cache(maxsize=8)
def _row_of_statistics(width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Returns scale and shift, float32 [3 * width]; cached, since each copy to a GPU would wait for it."""
    scale = torch.tensor([1 / (255 * std) for std in STD], device=device)
    shift = torch.tensor([-mean / std for mean, std in zip(MEAN, STD, strict=True)], device=device)
    return scale.repeat(width), shift.repeat(width)
