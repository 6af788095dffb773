"""Whole views of the reference: held to PIL, the same in any batch, and where the geometry says."""

from dataclasses import replace

import numpy as np
import torch
import torchvision.transforms.functional as tvf
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from tests.augment.pictures import BICUBIC, COUNT, drawn_images, tensor
from vicregl_fast.augment import normalisation, reference
from vicregl_fast.augment.parameters import ViewParameters, draw_parameters
from vicregl_fast.augment.recipe import ViewRecipe, ViewsConfig, view_recipes
from vicregl_fast.geometry.cells import cell_centres
from vicregl_fast.geometry.crop_rule import CropRule


def draw(recipe: ViewRecipe, images: list[torch.Tensor], view: int = 0) -> ViewParameters:
    heights, widths = (np.array([image.shape[axis] for image in images]) for axis in (0, 1))
    return draw_parameters(recipe, 5, 2, view, np.arange(len(images)), heights, widths)


def pil_view(recipe: ViewRecipe, image: Image.Image, p: ViewParameters, i: int) -> np.ndarray:
    """One view the plain way, with PIL's own operations: float [3, size, size], normalised."""
    top, left, height, width = p.boxes[i].tolist()
    view = image.crop((left, top, left + width, top + height)).resize((recipe.size,) * 2, BICUBIC)
    if p.column("flip")[i]:
        view = ImageOps.mirror(view)
    operations = [
        lambda view: ImageEnhance.Brightness(view).enhance(p.column("brightness")[i]),
        lambda view: ImageEnhance.Contrast(view).enhance(p.column("contrast")[i]),
        lambda view: ImageEnhance.Color(view).enhance(p.column("saturation")[i]),
        lambda view: tvf.adjust_hue(view, float(p.column("hue")[i])),
    ]
    if p.column("jitter")[i]:
        for number in p.order[i]:
            view = operations[number](view)
    if p.column("grey")[i]:
        view = view.convert("L").convert("RGB")
    if p.column("blur")[i]:
        view = view.filter(ImageFilter.GaussianBlur(float(p.sigma[i])))
    if p.column("solarise")[i]:
        view = ImageOps.solarize(view, 128)
    return tvf.normalize(tvf.to_tensor(view), normalisation.MEAN, normalisation.STD).numpy()


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
            assert error.mean() < (5 if parameters.column("solarise")[i] else 2.5)


def test_the_recipes_extremes_are_seen():
    """Every flag at work alone: a test against drift in the order of operations and in the flags' meaning."""
    stored = [tensor(image) for image in drawn_images()]
    still = ViewRecipe(48, CropRule((1.0, 1.0)), 0.0, 0.0, flip_probability=0, jitter_probability=0, grey_probability=0)
    plain = reference.apply(still, draw(still, stored), stored)
    whole = reference.crop_resize(stored, draw(still, stored).boxes, 48)
    mean, std = (torch.tensor(values)[:, None, None] for values in (normalisation.MEAN, normalisation.STD))
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
        assert torch.equal(reference.apply(recipe, parameters[i : i + 1], stored[i : i + 1]), whole[i : i + 1])


def test_a_view_shows_what_lies_at_its_cell_centres():
    rows, columns = np.meshgrid(np.arange(120), np.arange(200), indexing="ij")
    image = torch.from_numpy(np.stack([rows, columns, 0 * rows], axis=-1).astype(np.uint8))
    crop = CropRule((0.2, 1.0))
    recipe = ViewRecipe(84, crop, 0.0, 0.0, jitter_probability=0, grey_probability=0)
    stored = [image] * 40
    parameters = draw(recipe, stored)
    views = reference.apply(recipe, parameters, stored)
    mean, std = (torch.tensor(values)[:, None, None] for values in (normalisation.MEAN, normalisation.STD))
    seen = torch.nn.functional.avg_pool2d(255 * (views * std + mean)[:, :2], 12).permute(0, 2, 3, 1) + 0.5
    assert parameters.flips.any() and not parameters.flips.all()
    # Averaged values are rounded coordinates of pixels; a border pixel counts a little more.
    np.testing.assert_allclose(seen.numpy(), cell_centres(parameters.boxes, parameters.flips, 7), rtol=0, atol=0.6)
