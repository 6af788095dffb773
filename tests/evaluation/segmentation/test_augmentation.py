"""Augmentation of image and mask together, read back from pixels that are coordinates."""

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional

from vicregl_fast.evaluation.segmentation.augmentation import SegmentationAugmentation, distort
from vicregl_fast.evaluation.segmentation.masks import MaskedImage

IGNORED = 255


def coloured(mask: torch.Tensor) -> MaskedImage:
    """Grey levels that name the class, 60 apart: scaling and distortion cannot confuse them."""
    return MaskedImage((40 + 60 * mask).expand(3, -1, -1).to(torch.uint8).contiguous(), mask)


def test_image_and_mask_stay_together() -> None:
    """In the inside of blocks the pixel still names the label, whatever scale, crop and flip were drawn."""
    blocks = torch.randint(4, (8, 10), generator=torch.Generator().manual_seed(0))
    item = coloured(blocks.repeat_interleave(16, 0).repeat_interleave(16, 1))
    augment = SegmentationAugmentation(crop=64, ignore_index=IGNORED, seed=0)
    contents = set()
    for epoch in range(20):
        made = augment(item, epoch, index=3)
        assert made.pixels.shape == (3, 64, 64) and made.mask.shape == (64, 64)
        labelled = made.mask[made.mask != IGNORED]
        levels = torch.stack([made.pixels[0][made.mask == label].float().median() for label in labelled.unique()])
        # Brightness and contrast keep the order of grey levels, so the medians ascend with the label.
        assert (levels.diff() > 0).all()
        contents.add(made.mask.numpy().tobytes())
    assert len(contents) == 20


def test_a_sample_looks_the_same_whenever_it_is_prepared() -> None:
    item = coloured(torch.randint(4, (50, 60), generator=torch.Generator().manual_seed(0)))
    first = SegmentationAugmentation(32, IGNORED, seed=5)(item, 2, 7)
    again = SegmentationAugmentation(32, IGNORED, seed=5)(item, 2, 7)
    other = SegmentationAugmentation(32, IGNORED, seed=6)(item, 2, 7)
    assert torch.equal(first.pixels, again.pixels) and torch.equal(first.mask, again.mask)
    assert not torch.equal(first.mask, other.mask)


def test_a_small_image_is_padded_with_ignored_labels() -> None:
    made = SegmentationAugmentation(100, IGNORED, seed=0)(coloured(torch.ones(20, 20, dtype=torch.long)), 0, 0)
    rows, columns = np.nonzero((made.mask == 1).numpy())
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert height == width and 10 <= height <= 40
    assert (made.mask == IGNORED).sum() == 100 * 100 - height * width


def test_crops_of_one_class_are_redrawn() -> None:
    """Half of the image is class 0: a crop of more than 75% of it is redrawn, so few remain."""
    mask = torch.zeros(128, 512, dtype=torch.long)
    mask[:, 256:] = torch.arange(256) % 3 + 1
    augment = SegmentationAugmentation(64, IGNORED, seed=0)
    shares = [(augment(coloured(mask), 0, index).mask == 0).float().mean() for index in range(40)]
    assert max(shares) <= 0.75
    assert min(shares) == 0


@pytest.mark.parametrize("which", range(4))
def test_each_distortion_is_torchvisions(which: int) -> None:
    pixels = torch.randint(256, (3, 9, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(which))
    whether = np.ones(4)
    whether[which] = 0
    expected = (
        functional.adjust_brightness(pixels, 1 + 32 / 255 / 2),
        functional.adjust_contrast(pixels, 1.25),
        functional.adjust_saturation(pixels, 1.25),
        functional.adjust_hue(pixels, 0.025),
    )[which]
    made = distort(pixels, np.full(4, 0.75), whether)
    assert torch.equal(made, expected)
    assert not torch.equal(made, pixels)
    assert torch.equal(distort(pixels, np.full(4, 0.75), np.ones(4)), pixels)
