"""The Numba backend held to the reference: every operation alone, whole views, and what no batch may change."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.augment.pictures import drawn_images
from vicregl_fast.augment import normalisation
from vicregl_fast.augment.backends import choose_backend, make_view
from vicregl_fast.augment.decoded_batch import DecodedBatch
from vicregl_fast.augment.parameters import ViewParameters, draw_parameters
from vicregl_fast.augment.recipe import ViewRecipe, ViewsConfig, view_recipes
from vicregl_fast.geometry.crop_rule import CropRule

LEVELS = 255 * torch.tensor(normalisation.STD)[:, None, None]
STILL = ViewRecipe(40, CropRule((0.1, 1.0)), 0.0, 0.0, flip_probability=0, jitter_probability=0, grey_probability=0)


def packed(images: list[Image.Image]) -> DecodedBatch:
    return DecodedBatch.pack([np.asarray(image) for image in images])


def drawn(recipe: ViewRecipe, batch: DecodedBatch, view: int = 0) -> ViewParameters:
    return draw_parameters(recipe, 5, 2, view, batch.indices, batch.heights, batch.widths)


def errors(recipe: ViewRecipe, parameters: ViewParameters, batch: DecodedBatch, threads: int = 2) -> torch.Tensor:
    """Differences from the reference in levels: [b, 3, size, size]."""
    ours = make_view("numba", recipe, parameters, batch, threads)
    theirs = make_view("torch", recipe, parameters, batch, threads)
    assert ours.shape == theirs.shape and ours.is_contiguous(memory_format=torch.channels_last)
    return (ours - theirs).abs() * LEVELS


@pytest.mark.parametrize("size", [37, 96, 224])
def test_resize_is_the_reference_s(images: list[Image.Image], size: int) -> None:
    batch = packed(images)
    recipe = replace(STILL, size=size)
    for view in range(3):
        error = errors(recipe, drawn(recipe, batch, view), batch)
        assert error.max() <= 2.01 and error.mean() <= 0.01


@pytest.mark.parametrize(
    "alone",
    [
        {"flip_probability": 1},
        {"jitter_probability": 1, "contrast": 0, "saturation": 0, "hue": 0},
        {"jitter_probability": 1, "brightness": 0, "saturation": 0, "hue": 0},
        {"jitter_probability": 1, "brightness": 0, "contrast": 0, "hue": 0},
        {"jitter_probability": 1, "brightness": 0, "contrast": 0, "saturation": 0, "hue": 0.5},
        {"jitter_probability": 1},
        {"grey_probability": 1},
        {"blur_probability": 1},
        {"blur_probability": 1, "blur_sigma": (3.5, 5.0)},
        {"solarise_probability": 1},
    ],
)
def test_every_operation_is_the_reference_s(images: list[Image.Image], alone: dict) -> None:
    batch = packed(images)
    recipe = replace(STILL, **alone)
    plain, changed = (make_view("numba", each, drawn(each, batch), batch, 2) for each in (STILL, recipe))
    assert (plain - changed).abs().mean() > 0.005, "the operation does something"
    error = errors(recipe, drawn(recipe, batch), batch)
    assert error.mean() <= 0.02  # a level that lies at the threshold of solarising may be inverted by one alone
    assert error.max() <= 3 or "solarise_probability" in alone


@pytest.mark.parametrize("view", [0, 1])
def test_views_are_the_reference_s(images: list[Image.Image], view: int) -> None:
    recipe = view_recipes(ViewsConfig(large_size=96))[view]
    batch = packed(images * 4)
    assert errors(recipe, drawn(recipe, batch, view), batch).mean((1, 2, 3)).max() <= 0.3


def test_large_and_tiny_boxes() -> None:
    """Windows of hundreds of pixels, and of pixels that are all there is."""
    noise = np.random.default_rng(0).integers(0, 256, (900, 1300, 3), dtype=np.uint8)
    batch = packed([Image.fromarray(noise)] * 3)
    recipe = replace(STILL, size=7)
    parameters = replace(
        drawn(recipe, batch), boxes=np.array([[0, 0, 900, 1300], [899, 1299, 1, 1], [3, 5, 2, 1200]], np.int32)
    )
    assert errors(recipe, parameters, batch).max() <= 1.01


def test_no_pixel_outside_the_box_is_read() -> None:
    image = np.full((90, 120, 3), 255, np.uint8)
    image[20:60, 30:80] = 0
    batch = packed([Image.fromarray(image)])
    for size in (7, 64):
        recipe = replace(STILL, size=size)
        parameters = replace(drawn(recipe, batch), boxes=np.array([[20, 30, 40, 50]], np.int32))
        black = -torch.tensor(normalisation.MEAN) / torch.tensor(normalisation.STD)
        view = make_view("numba", recipe, parameters, batch, 1)
        torch.testing.assert_close(view, black[None, :, None, None].expand(1, 3, size, size))


def test_a_sample_s_view_does_not_depend_on_its_batch() -> None:
    recipe = view_recipes(ViewsConfig(large_size=48))[1]
    images = drawn_images()
    whole = packed(images)
    parameters = drawn(recipe, whole, 1)
    together = make_view("numba", recipe, parameters, whole, 2)
    for n, image in enumerate(images):
        alone = make_view("numba", recipe, parameters[n : n + 1], packed([image]), 1)
        assert torch.equal(alone[0], together[n]), "bit for bit"


def test_the_backend_follows_the_device() -> None:
    cpu = torch.device("cpu")
    assert choose_backend("auto", cpu) == "numba" and choose_backend("torch", cpu) == "torch"
    with pytest.raises(ValueError, match=r"views\.backend cuda needs a CUDA device, and this run is on cpu"):
        choose_backend("cuda", cpu)
