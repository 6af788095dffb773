"""Random scale, crop, flip and colour distortion of a training image with its mask.

All random numbers come from Philox at the counter (epoch, sample), so that a sample looks the same whichever worker
process prepares it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from vicregl_fast.augment.normalisation import LEVEL_MEANS
from vicregl_fast.draws import SEGMENTATION_VIEW
from vicregl_fast.evaluation.segmentation.masks import MaskedImage
from vicregl_fast.philox import sample_uniforms

_SCALE_DRAW, _DISTORTION_DRAW, _WHETHER_DRAW, _FIRST_CROP_DRAW = range(4)

SCALE_RATIO = (0.5, 2.0)
CROPS = 10
LARGEST_SHARE = 0.75
"""A crop is drawn again, ``CROPS`` crops in all, while one class has a larger share of its labelled pixels."""
BRIGHTNESS = 32 / 255
CONTRAST = SATURATION = 0.5
HUE = 18 / 360
MEAN_COLOUR = LEVEL_MEANS.round().tolist()
"""Red, green and blue of the padding: ImageNet's mean, in levels."""


@dataclass(frozen=True)
class SegmentationAugmentation:
    """The steps of mmsegmentation's training pipeline, with torchvision's colour operations.

    Attributes:
        crop: side of the square crop in pixels; a smaller image is padded with grey pixels and ignored labels.
        ignore_index: label of the padding, and of other pixels without a class.
        seed: key of all random numbers.
    """

    crop: int
    ignore_index: int
    seed: int

    def __call__(self, item: MaskedImage, epoch: int, index: int) -> MaskedImage:
        """Distorts ``item``, the sample ``index``, as it is seen in ``epoch``.

        Returns:
            Pixels uint8 [3, crop, crop] with their mask int64 [crop, crop].
        """

        def draws(draw: int) -> np.ndarray:
            return sample_uniforms(self.seed, epoch, SEGMENTATION_VIEW, draw, np.array([index]))[0]

        ratio, flip, *_ = draws(_SCALE_DRAW)
        item = _pad(_scale(item, _between(*SCALE_RATIO, ratio)), self.crop, self.ignore_index)
        for attempt in range(CROPS):
            top, left, *_ = draws(_FIRST_CROP_DRAW + attempt)
            crop = _crop(item, self.crop, top, left)
            if _largest_share(crop.mask, self.ignore_index) <= LARGEST_SHARE:
                break
        if flip < 0.5:
            crop = MaskedImage(crop.pixels.flip(2), crop.mask.flip(1))
        return MaskedImage(distort(crop.pixels, draws(_DISTORTION_DRAW), draws(_WHETHER_DRAW)), crop.mask)


def distort(pixels: Tensor, strengths: np.ndarray, whether: np.ndarray) -> Tensor:
    """Changes brightness, contrast, saturation and hue, each of them with probability 1/2.

    Args:
        pixels: uint8 [3, H, W].
        strengths: float64 [4] in [0, 1), one for each operation in this order; 1/2 changes nothing.
        whether: float64 [4] in [0, 1); an operation is applied where this is below 1/2.

    Returns:
        uint8 [3, H, W].
    """
    brightness, contrast, saturation, hue = strengths
    steps = (
        lambda image: functional.adjust_brightness(image, _between(1 - BRIGHTNESS, 1 + BRIGHTNESS, brightness)),
        lambda image: functional.adjust_contrast(image, _between(1 - CONTRAST, 1 + CONTRAST, contrast)),
        lambda image: functional.adjust_saturation(image, _between(1 - SATURATION, 1 + SATURATION, saturation)),
        lambda image: functional.adjust_hue(image, _between(-HUE, HUE, hue)),
    )
    for step, chance in zip(steps, whether, strict=True):
        if chance < 0.5:
            pixels = step(pixels)
    return pixels


def _between(low: float, high: float, share: float) -> float:
    return float(low + (high - low) * share)


def _scale(item: MaskedImage, ratio: float) -> MaskedImage:
    size = [max(1, round(side * ratio)) for side in item.mask.shape]
    mask = functional.resize(item.mask[None], size, functional.InterpolationMode.NEAREST_EXACT)[0]
    return MaskedImage(functional.resize(item.pixels, size, antialias=True), mask)


def _pad(item: MaskedImage, side: int, ignore_index: int) -> MaskedImage:
    """Pads the right and the bottom to at least ``side`` pixels, with ImageNet's mean colour."""
    height, width = item.mask.shape
    missing = [0, 0, max(0, side - width), max(0, side - height)]
    grey = functional.pad(item.pixels, missing, fill=MEAN_COLOUR)
    return MaskedImage(grey, functional.pad(item.mask[None], missing, fill=ignore_index)[0])


def _crop(item: MaskedImage, side: int, top: float, left: float) -> MaskedImage:
    """Cuts out a square; ``top`` and ``left`` in [0, 1) choose one of the possible positions."""
    height, width = item.mask.shape
    rows, columns = (
        slice(start, start + side) for start in (int(top * (height - side + 1)), int(left * (width - side + 1)))
    )
    return MaskedImage(item.pixels[:, rows, columns], item.mask[rows, columns])


def _largest_share(mask: Tensor, ignore_index: int) -> float:
    """The commonest class's share of the labelled pixels; 0 where there are none."""
    labelled = mask[mask != ignore_index]
    return 0.0 if not len(labelled) else (torch.bincount(labelled).max() / len(labelled)).item()
