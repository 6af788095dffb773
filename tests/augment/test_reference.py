"""The reference's single operations held to PIL and torchvision, on real and on drawn images."""

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as tvf
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from tests.augment.pictures import BICUBIC, level_error, planar, tensor
from vicregl_fast.augment import reference

FACTORS = [0.0, 0.6, 1.4]


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize(
    ("operation", "pil"),
    [
        (reference.adjust_brightness, ImageEnhance.Brightness),
        (reference.adjust_contrast, ImageEnhance.Contrast),
        (reference.adjust_saturation, ImageEnhance.Color),
    ],
)
def test_enhancements_are_pils(images, operation, pil, factor):
    for image in images:
        error = level_error(operation(planar(image), torch.tensor([factor])), pil(image).enhance(factor))
        assert error.mean() < 0.8
        assert error.max() < 2


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_enhancements_are_torchvisions(images, name, factor):
    for image in images:
        ours = getattr(reference, f"adjust_{name}")(planar(image), torch.tensor([factor]))
        theirs = 255 * getattr(tvf, f"adjust_{name}")(planar(image) / 255, factor)
        # torchvision's grey has weights of four digits that sum to 0.9999.
        assert (ours - theirs).abs().max() < 0.05


@pytest.mark.parametrize("turns", [-0.5, -0.1, 0.03, 0.31])
def test_hue_is_pils_and_torchvisions(images, turns):
    for image in images:
        ours = reference.adjust_hue(planar(image), torch.tensor([turns]))
        assert level_error(ours, tvf.adjust_hue(image, turns)).mean() < 2.5, "PIL quantises hue"
        theirs = 255 * tvf.adjust_hue(planar(image) / 255, turns)
        assert (ours - theirs).abs().max() < 0.02


def test_a_third_of_a_turn_moves_red_to_green():
    colours = torch.tensor([[255.0, 0, 0], [0, 200, 0], [10, 10, 90], [70, 70, 70]]).T[None, :, None]
    turned = reference.adjust_hue(colours, torch.tensor([1 / 3]))[0, :, 0].T
    expected = torch.tensor([[0.0, 255, 0], [0, 0, 200], [90, 10, 10], [70, 70, 70]])
    torch.testing.assert_close(turned, expected, rtol=0, atol=1e-3)


def test_grey_and_solarise_are_pils(images):
    for image in images:
        assert (
            level_error(reference.grey(planar(image)).expand(-1, 3, -1, -1), image.convert("L").convert("RGB")).max()
            < 1
        )
        assert level_error(reference.solarise(planar(image), 128), ImageOps.solarize(image, 128)).max() == 0


@pytest.mark.parametrize("sigma", [0.1, 0.7, 1.3, 2.0])
def test_blur_is_pils_and_torchvisions(images, sigma):
    for image in images:
        ours = reference.gaussian_blur(planar(image), torch.tensor([sigma]))
        assert level_error(ours, image.filter(ImageFilter.GaussianBlur(sigma))).mean() < 1.5
        # torchvision reflects at the border, so only the inner part can agree.
        theirs = tvf.gaussian_blur(planar(image), [13, 13], [sigma, sigma])
        assert (ours - theirs)[..., 6:-6, 6:-6].abs().max() < 1.0


def test_blur_repeats_the_border_and_keeps_a_constant():
    step = torch.zeros(1, 3, 8, 20)
    step[..., 10:] = 200
    blurred = reference.gaussian_blur(step, torch.tensor([2.0]))
    assert blurred[0, 0, 0].tolist() == pytest.approx(blurred[0, 2, 7].tolist())
    weights = torch.exp(-0.5 * (torch.arange(-6, 7) / 2.0) ** 2)
    expected = 200 * (weights.cumsum(0) / weights.sum())
    torch.testing.assert_close(blurred[0, 0, 0, 4:17], expected, rtol=0, atol=1e-3)
    constant = reference.gaussian_blur(torch.full((2, 3, 5, 5), 255.0), torch.tensor([0.1, 2.0]))
    torch.testing.assert_close(constant, torch.full((2, 3, 5, 5), 255.0), rtol=0, atol=1e-3)


OPERATIONS = [
    (reference.adjust_brightness, (0.6, 1.4)),
    (reference.adjust_contrast, (0.6, 1.4)),
    (reference.adjust_saturation, (0.8, 1.2)),
    (reference.adjust_hue, (-0.1, 0.1)),
    (reference.gaussian_blur, (0.1, 2.0)),
]


@pytest.mark.parametrize(("operation", "span"), OPERATIONS)
def test_each_image_has_its_own_factor(operation, span):
    torch.manual_seed(0)
    batch = torch.rand(9, 3, 31, 37) * 255
    kept, factors = batch.clone(), torch.linspace(span[0], span[1], 9)[torch.randperm(9)]
    together = operation(batch, factors)
    for i in range(9):
        assert torch.equal(together[i], operation(batch[i : i + 1], factors[i : i + 1])[0])
    assert torch.equal(batch, kept), "an operation leaves its input as it is"


BOXES = [(0.0, 0.0, 1.0, 1.0), (0.1, 0.3, 0.5, 0.6), (0.4, 0.0, 0.35, 0.9), (0.55, 0.7, 0.1, 0.12)]


def crops(image: Image.Image) -> list[tuple[np.ndarray, Image.Image]]:
    """Pairs of a box, int[1, 4], and what PIL cuts there."""
    pairs = []
    for top, left, height, width in BOXES:
        y, x = int(top * image.height), int(left * image.width)
        box_height, box_width = max(1, int(height * image.height)), max(1, int(width * image.width))
        pairs.append((np.array([[y, x, box_height, box_width]]), image.crop((x, y, x + box_width, y + box_height))))
    return pairs


@pytest.mark.parametrize("size", [96, 224, 37])
def test_resize_is_pils(images, size):
    for image in images:
        for boxes, crop in crops(image):
            ours = reference.crop_resize([tensor(image)], boxes, size)
            assert level_error(ours, crop.resize((size, size), BICUBIC)).mean() <= 0.5
            # PIL orders its passes by their cost; with ours, vertical first, every pixel agrees.
            vertical = crop.resize((crop.width, size), BICUBIC)
            assert level_error(ours, vertical.resize((size, size), BICUBIC)).max() <= 2


@pytest.mark.parametrize("size", [96, 37])
def test_resize_without_bytes_is_the_same(images, size):
    for image in images:
        for boxes, crop in crops(image):
            without_bytes = reference._pass_of_floats(tensor(crop).permute(2, 0, 1)[None], (size, crop.width))
            without_bytes = reference._pass_of_floats(without_bytes, (size, size))
            error = (reference.crop_resize([tensor(image)], boxes, size) - without_bytes).abs()
            assert error.max() <= 2
            assert error.mean() <= 0.1


def test_no_pixel_outside_the_box_is_read():
    image = torch.full((90, 120, 3), 255, dtype=torch.uint8)
    for box in ([20, 30, 40, 50], [0, 0, 1, 1], [89, 100, 1, 20]):
        top, left, height, width = box
        image.fill_(255)
        image[top : top + height, left : left + width] = 0
        for size in (7, 64):
            assert reference.crop_resize([image], np.array([box]), size).abs().max() == 0
