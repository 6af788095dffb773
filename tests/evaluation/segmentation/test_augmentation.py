"""Augmentation of image and mask together, read back from pixels that are coordinates."""

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from vicregl_fast.evaluation.segmentation.augmentation import SegmentationAugmentation
from vicregl_fast.evaluation.segmentation.labels import IGNORED
from vicregl_fast.evaluation.segmentation.masked_images import MaskedImage
from vicregl_fast.evaluation.segmentation.scaling import resize_mask, resize_pixels, size_within


def coloured(mask: torch.Tensor) -> MaskedImage:
    """Grey levels that name the class, 60 apart: scaling and distortion cannot confuse them."""
    return MaskedImage((40 + 60 * mask).expand(3, -1, -1).to(torch.uint8).contiguous(), mask)


def augmentation(height: int, width: int, base_size: tuple[int, int] | None = None, seed: int = 0):
    return SegmentationAugmentation((height, width), base_size, seed)


def test_image_and_mask_stay_together() -> None:
    """In the inside of blocks the pixel still names the label, whatever scale, crop and flip were drawn."""
    blocks = torch.randint(4, (8, 10), generator=torch.Generator().manual_seed(0))
    item = coloured(blocks.repeat_interleave(16, 0).repeat_interleave(16, 1))
    augment = augmentation(64, 48)
    contents = set()
    for epoch in range(20):
        made = augment(item, epoch, index=3)
        assert made.pixels.shape == (3, 64, 48) and made.mask.shape == (64, 48)
        assert made.pixels.dtype == torch.uint8 and made.mask.dtype == torch.int64
        labelled = made.mask[made.mask != IGNORED]
        levels = torch.stack([made.pixels[0][made.mask == label].float().median() for label in labelled.unique()])
        # Brightness and contrast keep the order of grey levels, so the medians ascend with the label.
        assert (levels.diff() > 0).all()
        contents.add(made.mask.numpy().tobytes())
    assert len(contents) == 20


def test_a_sample_looks_the_same_whenever_it_is_prepared() -> None:
    item = coloured(torch.randint(4, (50, 60), generator=torch.Generator().manual_seed(0)))
    first, again, other = (augmentation(32, 32, seed=seed)(item, 2, 7) for seed in (5, 5, 6))
    assert torch.equal(first.pixels, again.pixels) and torch.equal(first.mask, again.mask)
    assert not torch.equal(first.mask, other.mask)


def test_a_small_image_is_padded_with_ignored_labels_and_the_mean_colour() -> None:
    made = augmentation(100, 110)(coloured(torch.ones(20, 20, dtype=torch.long)), 0, 0)
    rows, columns = np.nonzero((made.mask == 1).numpy())
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert height == width and 10 <= height <= 40
    assert (made.mask == IGNORED).sum() == 100 * 110 - height * width
    assert made.pixels[:, -1, -1].tolist() == [124, 116, 104]


def test_the_scale_is_half_to_twice_the_base_size() -> None:
    """An image of 30×60 within 100×40: from 20×40 (at 0.5 a long side of 50, a short one of 20) to 80×160."""
    item = coloured(torch.ones(30, 60, dtype=torch.long))
    heights = []
    for index in range(200):
        made = augmentation(200, 200, (100, 40))(item, 0, index)
        rows, columns = np.nonzero((made.mask == 1).numpy())
        assert abs(2 * (np.ptp(rows) + 1) - (np.ptp(columns) + 1)) <= 1
        heights.append(np.ptp(rows) + 1)
    assert 20 <= min(heights) <= 21 and 78 <= max(heights) <= 80


@pytest.mark.parametrize(
    ("size", "expected"),
    [((375, 500), (512, 683)), ((500, 375), (683, 512)), ((1024, 2048), (512, 1024)), ((100, 1000), (205, 2048))],
)
def test_sizes_within_the_base_size(size: tuple[int, int], expected: tuple[int, int]) -> None:
    """By hand: 512 / 375 = 1.365, and 500 times that is 682.7; a side of 1000 may grow to 2048 only."""
    assert size_within(size, (2048, 512)) == expected


def test_resizing_is_torch_s() -> None:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (11, 15, 3), np.uint8)
    mask = generator.integers(-1, 200, (11, 15)).astype(np.int16)
    for size in ((23, 17), (7, 9), (11, 15)):
        torch_pixels = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
        expected = interpolate(torch_pixels, size, mode="bilinear", align_corners=False)[0].permute(1, 2, 0)
        assert (torch.from_numpy(resize_pixels(pixels, size)).float() - expected).abs().max() <= 1
        expected = interpolate(torch.from_numpy(mask)[None, None].float(), size, mode="nearest-exact")[0, 0]
        assert np.array_equal(resize_mask(mask, size), expected.numpy())


def test_crops_of_one_class_are_redrawn() -> None:
    """Half of the image is class 0: a crop of 75% of it or more is redrawn, so none remains."""
    mask = torch.zeros(128, 512, dtype=torch.long)
    mask[:, 256:] = torch.arange(256) % 3 + 1
    shares = [(augmentation(64, 64)(coloured(mask), 0, index).mask == 0).float().mean() for index in range(40)]
    assert max(shares) < 0.75
    assert min(shares) == 0


def test_an_image_of_one_class_is_taken_as_it_is() -> None:
    made = augmentation(32, 32)(coloured(torch.ones(128, 128, dtype=torch.long)), 0, 0)
    assert (made.mask == 1).all()
