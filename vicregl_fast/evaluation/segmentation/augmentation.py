"""Random scale, crop, flip and colour distortion of a training image with its mask: mmsegmentation's training pipeline.

All random numbers come from Philox at the counter (epoch, sample), so that a sample looks the same whichever worker
process prepares it.
"""

from dataclasses import dataclass

import numpy as np
import torch

from vicregl_fast.augment.normalisation import LEVEL_MEANS
from vicregl_fast.draws import SEGMENTATION_VIEW
from vicregl_fast.evaluation.segmentation.config import Sides
from vicregl_fast.evaluation.segmentation.distortion import between, distort, drawn_distortion
from vicregl_fast.evaluation.segmentation.labels import IGNORED
from vicregl_fast.evaluation.segmentation.masked_images import MaskedImage
from vicregl_fast.evaluation.segmentation.scaling import resize_mask, resize_pixels, size_within
from vicregl_fast.philox import sample_uniforms

_SCALE_DRAW, _DISTORTION_DRAW, _WHETHER_DRAW, _FIRST_CROP_DRAW = range(4)

SCALE_RATIO = (0.5, 2.0)
REDRAWN = 10
"""How often a crop is drawn again, at most, whose labelled pixels are of one class for ``LARGEST_SHARE`` or more."""
LARGEST_SHARE = 0.75
MEAN_COLOUR = LEVEL_MEANS.round().astype(np.uint8)
"""Red, green and blue of the padding: ImageNet's mean, in levels."""

Pair = tuple[np.ndarray, np.ndarray]
"""Pixels, uint8 [H, W, 3], with their labels, int16 [H, W]."""


@dataclass(frozen=True)
class SegmentationAugmentation:
    """Distorts images for training.

    Attributes:
        crop: height and width of crops in pixels; smaller images are padded with grey pixels and ignored labels.
        base_size: long and short side to which a scale of 1 resizes; None for the size of each image.
        seed: key of all random numbers.
    """

    crop: Sides
    base_size: Sides | None
    seed: int

    def __call__(self, item: MaskedImage, epoch: int, index: int) -> MaskedImage:
        """Distorts ``item``, the sample ``index``, as it is seen in ``epoch``.

        Returns:
            Pixels uint8 [3, h, w] with their mask int64 [h, w], of the crop's size.
        """

        def draws(draw: int) -> np.ndarray:
            return sample_uniforms(self.seed, epoch, SEGMENTATION_VIEW, draw, np.array([index]))[0]

        ratio, flip, contrast_first, _ = draws(_SCALE_DRAW)
        size = self._size(tuple(item.mask.shape), between(*SCALE_RATIO, ratio))  # type: ignore[arg-type]
        pixels = resize_pixels(np.ascontiguousarray(item.pixels.permute(1, 2, 0).numpy()), size)
        mask = resize_mask(item.mask.numpy().astype(np.int16), size)
        for redrawn in range(REDRAWN + 1):
            rows, columns = self._place(size, draws(_FIRST_CROP_DRAW + redrawn))
            if _is_varied(mask[rows, columns]):
                break
        pair = pixels[rows, columns], mask[rows, columns]
        if flip < 0.5:
            pair = pair[0][:, ::-1], pair[1][:, ::-1]
        distortion = drawn_distortion(draws(_DISTORTION_DRAW), draws(_WHETHER_DRAW), contrast_first)
        pixels, mask = self._padded((distort(np.ascontiguousarray(pair[0]), distortion), pair[1]))
        return MaskedImage(torch.from_numpy(pixels).permute(2, 0, 1), torch.from_numpy(mask.astype(np.int64)))

    def _size(self, size: Sides, ratio: float) -> Sides:
        if self.base_size is not None:
            return size_within(size, (int(self.base_size[0] * ratio), int(self.base_size[1] * ratio)))
        return max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))

    def _place(self, size: Sides, places: np.ndarray) -> tuple[slice, slice]:
        """Where a crop lies in an image; the first two of ``places``, in [0, 1), choose one of the possibilities."""
        rows, columns = (
            slice(start := int(place * max(1, side - crop + 1)), start + crop)
            for place, side, crop in zip(places[:2], size, self.crop, strict=True)
        )
        return rows, columns

    def _padded(self, pair: Pair) -> Pair:
        """Pads the right and the bottom."""
        height, width = pair[1].shape
        pixels = np.broadcast_to(MEAN_COLOUR, (*self.crop, 3)).copy()
        mask = np.full(self.crop, IGNORED, np.int16)
        pixels[:height, :width], mask[:height, :width] = pair
        return pixels, mask


def _is_varied(mask: np.ndarray) -> bool:
    """Whether several classes are there, none of which has too large a share of the labelled pixels."""
    counts = np.bincount(mask.ravel() - np.int16(IGNORED))[1:]
    return bool(np.count_nonzero(counts) > 1 and counts.max() < LARGEST_SHARE * counts.sum())
