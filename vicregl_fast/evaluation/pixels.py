"""From pixels to what a backbone takes."""

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from vicregl_fast.augment.reference import MEAN, STD


def normalise(pixels: Tensor) -> Tensor:
    """uint8 [..., 3, H, W] to float32 of the same shape, normalised as in training."""
    return functional.normalize(functional.to_dtype(pixels, torch.float32, scale=True), list(MEAN), list(STD))
