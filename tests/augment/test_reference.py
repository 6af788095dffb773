"""The reference augmentation held to PIL and torchvision, on real and on drawn images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as tvf
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from vicregl_fast.augment import reference
from vicregl_fast.augment.parameters import ViewParameters, draw_parameters
from vicregl_fast.augment.recipe import ViewRecipe, ViewsConfig, view_recipes
from vicregl_fast.geometry.boxes import CropRule
from vicregl_fast.geometry.cells import cell_centres

COUNT = 12
BICUBIC = Image.Resampling.BICUBIC
SIDES = [(61, 97), (128, 45), (33, 33), (200, 151)]


def drawn_images() -> list[Image.Image]:
    """Smooth colours, saturated patches, hard edges and noise, of odd sizes."""
    rng = np.random.default_rng(0)
    images = []
    for i in range(COUNT):
        height, width = SIDES[i % len(SIDES)]
        coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
        pixels = np.array(coarse.resize((width, height), BICUBIC))
        pixels[height // 3 : height // 2, width // 4 : width // 2] = rng.integers(0, 2, 3) * 255
        pixels[: height // 6] = rng.integers(0, 256, (height // 6, width, 3))
        images.append(Image.fromarray(pixels))
    return images


def real_images(folder: Path) -> list[Image.Image]:
    files = sorted((folder / "imagenet_sample").glob("*.JPEG"))
    images = [Image.open(path).convert("RGB") for path in files[:: len(files) // COUNT][:COUNT]]
    for image in images:
        image.thumbnail((151, 151))
    return images


@pytest.fixture(scope="module", params=["drawn", "real"])
def images(request) -> list[Image.Image]:
    if request.param == "drawn":
        return drawn_images()
    return real_images(request.getfixturevalue("shared_data"))


def tensor(image: Image.Image) -> torch.Tensor:
    """uint8 [h, w, 3]."""
    return torch.from_numpy(np.array(image))


def planar(image: Image.Image) -> torch.Tensor:
    """float32 [1, 3, h, w] in [0, 255]."""
    return tensor(image).permute(2, 0, 1)[None].float()


def level_error(ours: torch.Tensor, theirs: Image.Image) -> torch.Tensor:
    return (ours - planar(theirs)).abs()


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
            level_error(
                reference.grey(planar(image)).expand(-1, 3, -1, -1), image.convert("L").convert("RGB")
            ).max()
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
        pairs.append(
            (np.array([[y, x, box_height, box_width]]), image.crop((x, y, x + box_width, y + box_height)))
        )
    return pairs


@pytest.mark.parametrize("size", [96, 224, 37])
def test_resize_is_pils(images, size):
    for image in images:
        for boxes, crop in crops(image):
            ours = reference.crop_resize([tensor(image)], boxes, size)
            assert level_error(ours, crop.resize((size, size), BICUBIC)).mean() <= 0.5
            # PIL orders its passes by their cost; with ours, horizontal first, every pixel agrees.
            horizontal = crop.resize((size, crop.height), BICUBIC)
            assert level_error(ours, horizontal.resize((size, size), BICUBIC)).max() <= 2


@pytest.mark.parametrize("size", [96, 37])
def test_resize_without_bytes_is_the_same(images, size):
    for image in images:
        for boxes, crop in crops(image):
            without_bytes = reference._resize_without_bytes(tensor(crop).permute(2, 0, 1)[None], size)
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


def draw(recipe: ViewRecipe, images: list[torch.Tensor], view: int = 0) -> ViewParameters:
    heights, widths = (np.array([image.shape[axis] for image in images]) for axis in (0, 1))
    return draw_parameters(recipe, 5, 2, view, np.arange(len(images)), heights, widths)


def pil_view(recipe: ViewRecipe, image: Image.Image, p: ViewParameters, i: int) -> np.ndarray:
    """One view the plain way, with PIL's own operations: float [3, size, size], normalised."""
    top, left, height, width = p.boxes[i].tolist()
    view = image.crop((left, top, left + width, top + height)).resize((recipe.size,) * 2, BICUBIC)
    if p.flips[i]:
        view = ImageOps.mirror(view)
    operations = [
        lambda view: ImageEnhance.Brightness(view).enhance(p.brightness[i]),
        lambda view: ImageEnhance.Contrast(view).enhance(p.contrast[i]),
        lambda view: ImageEnhance.Color(view).enhance(p.saturation[i]),
        lambda view: tvf.adjust_hue(view, float(p.hue[i])),
    ]
    if p.jitter[i]:
        for number in p.order[i]:
            view = operations[number](view)
    if p.grey[i]:
        view = view.convert("L").convert("RGB")
    if p.blur[i]:
        view = view.filter(ImageFilter.GaussianBlur(float(p.sigma[i])))
    if p.solarise[i]:
        view = ImageOps.solarize(view, 128)
    return tvf.normalize(tvf.to_tensor(view), reference.MEAN, reference.STD).numpy()


def test_views_are_pils(images):
    pictures = images * 3
    stored = [tensor(image) for image in pictures]
    for view, recipe in enumerate(view_recipes(ViewsConfig(large_size=96))):
        parameters = draw(recipe, stored, view)
        ours = reference.apply(recipe, parameters, stored)
        assert ours.dtype == torch.float32 and ours.shape == (len(stored), 3, 96, 96)
        assert ours.is_contiguous(memory_format=torch.channels_last)
        for i, image in enumerate(pictures):
            error = 255 * 0.225 * np.abs(ours[i].numpy() - pil_view(recipe, image, parameters, i))
            # A level on either side of the threshold is inverted by one and not by the other.
            assert error.mean() < (5 if parameters.solarise[i] else 2.5)


def test_the_recipes_extremes_are_seen():
    """Every flag at work alone: a test against drift in the order of operations and in the flags' meaning."""
    stored = [tensor(image) for image in drawn_images()]
    still = ViewRecipe(
        48, CropRule((1.0, 1.0)), 0.0, 0.0, flip_probability=0, jitter_probability=0, grey_probability=0
    )
    plain = reference.apply(still, draw(still, stored), stored)
    whole = reference.crop_resize(stored, draw(still, stored).boxes, 48)
    mean, std = (torch.tensor(values)[:, None, None] for values in (reference.MEAN, reference.STD))
    torch.testing.assert_close(plain, (whole / 255 - mean) / std, rtol=0, atol=1e-5)

    def changed(**options) -> torch.Tensor:
        recipe = replace(still, **options)
        return 255 * (reference.apply(recipe, draw(recipe, stored), stored) * std + mean)

    def assert_close(ours: torch.Tensor, expected: torch.Tensor) -> None:
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-2)

    assert_close(changed(flip_probability=1), whole.flip(3))
    assert_close(changed(grey_probability=1), reference.grey(whole).expand_as(whole))
    assert_close(changed(solarise_probability=1), reference.solarise(whole, 128))
    assert_close(
        changed(solarise_probability=1, blur_probability=1, blur_sigma=(2, 2), grey_probability=1),
        reference.solarise(
            reference.gaussian_blur(reference.grey(whole).expand_as(whole), torch.full((COUNT,), 2.0)), 128
        ),
    )


def test_a_sample_has_the_same_view_in_any_batch():
    # Across the border of two chunks of a CPU, with one, two and all images at a time.
    recipe = view_recipes(ViewsConfig(large_size=96))[0]
    stored = [tensor(image) for image in drawn_images()] * 5
    parameters = draw(recipe, stored)
    whole = reference.apply(recipe, parameters, stored)
    for i in (0, 17, 38, 59):
        part = slice(i, i + 2)
        assert torch.equal(reference.apply(recipe, parameters[part], stored[part]), whole[part])
        assert torch.equal(
            reference.apply(recipe, parameters[i : i + 1], stored[i : i + 1]), whole[i : i + 1]
        )


def test_a_view_shows_what_lies_at_its_cell_centres():
    rows, columns = np.meshgrid(np.arange(120), np.arange(200), indexing="ij")
    image = torch.from_numpy(np.stack([rows, columns, 0 * rows], axis=-1).astype(np.uint8))
    crop = CropRule((0.2, 1.0))
    recipe = ViewRecipe(84, crop, 0.0, 0.0, jitter_probability=0, grey_probability=0)
    stored = [image] * 40
    parameters = draw(recipe, stored)
    views = reference.apply(recipe, parameters, stored)
    mean, std = (torch.tensor(values)[:, None, None] for values in (reference.MEAN, reference.STD))
    seen = torch.nn.functional.avg_pool2d(255 * (views * std + mean)[:, :2], 12).permute(0, 2, 3, 1) + 0.5
    assert parameters.flips.any() and not parameters.flips.all()
    # Averaged values are rounded coordinates of pixels; a border pixel counts a little more.
    np.testing.assert_allclose(
        seen.numpy(), cell_centres(parameters.boxes, parameters.flips, 7), rtol=0, atol=0.6
    )
