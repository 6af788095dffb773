"""A batch for tests of the CUDA backend: samples with a single operation each, then some with all of them."""

from dataclasses import fields

import numpy as np

from vicregl_fast.augment.centre import centre_parameters
from vicregl_fast.augment.decoded_batch import DecodedBatch
from vicregl_fast.augment.parameters import ViewParameters, draw_parameters
from vicregl_fast.augment.recipe import ViewRecipe
from vicregl_fast.geometry.crop_rule import CropRule

RECIPE = ViewRecipe(10, CropRule((0.3, 1.0)), blur_probability=0.7, solarise_probability=0.4)
SIDES = [(20, 30), (33, 17), (25, 26)]
ALONE = {
    "reduced": {"boxes": (1, 2, 19, 27)},
    "enlarged": {"boxes": (3, 4, 7, 6)},
    "wide": {"boxes": (0, 1, 3, 249)},  # under one tile lie more source columns than the kernel holds at a time
    "black": {"boxes": (5, 6, 9, 11)},
    "flip": {"flip": True},
    "brightness": {"jitter": True, "brightness": 1.4},
    "contrast": {"jitter": True, "contrast": 0.3},
    "saturation": {"jitter": True, "saturation": 0.2},
    "hue": {"jitter": True, "hue": 0.3},
    "grey": {"grey": True},
    "blur": {"blur": True, "sigma": 2.0},
    "narrow blur": {"blur": True, "sigma": 0.4},
    "solarise": {"solarise": True},
}
NAMES = [*ALONE, *(f"drawn {index}" for index in range(4))]


def _image(index: int, name: str) -> np.ndarray:
    height, width = (3, 250) if name == "wide" else SIDES[index % len(SIDES)]
    image = np.random.default_rng(index).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if name == "black":
        top, left, box_height, box_width = ALONE[name]["boxes"]
        image[:] = 255
        image[top : top + box_height, left : left + box_width] = 0
    return image


def batch() -> DecodedBatch:
    return DecodedBatch.pack([_image(index, name) for index, name in enumerate(NAMES)])


def parameters() -> ViewParameters:
    """Of the samples NAMES, in this order."""
    sizes = batch().heights, batch().widths
    made = centre_parameters(*sizes)
    drawn = draw_parameters(RECIPE, 3, 1, 0, np.arange(len(NAMES)), *sizes)
    for index, name in enumerate(NAMES):
        if name not in ALONE:
            for field in fields(ViewParameters):
                getattr(made, field.name)[index] = getattr(drawn, field.name)[index]
        for own, value in ALONE.get(name, {}).items():
            (getattr(made, own) if own in ("boxes", "sigma") else made.column(own))[index] = value
    return made
