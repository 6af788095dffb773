"""One view of one image by torchvision's functions, on PIL images where these are faster than on tensors."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from vicregl_fast.augment.operations import ADJUSTMENTS, CHANCES
from vicregl_fast.augment.parameters import ViewParameters
from vicregl_fast.augment.recipe import ViewRecipe

_ADJUST: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "brightness": functional.adjust_brightness,
    "contrast": functional.adjust_contrast,
    "saturation": functional.adjust_saturation,
    "hue": functional.adjust_hue,
}


def make_view(image: Tensor, recipe: ViewRecipe, parameters: ViewParameters, k: int) -> np.ndarray:
    """Crops and distorts as drawn for sample k of a batch.

    Args:
        image: uint8 [3, H, W], best as PIL lays it out, channels last: torch resizes such bytes three times as fast as
            PIL does.
        recipe: the view's size and its solarising threshold.
        parameters: of the batch.
        k: which of its samples the image is.

    Returns:
        uint8 [S, S, 3].
    """
    box, size = parameters.boxes[k].tolist(), [recipe.size, recipe.size]
    resized = functional.resized_crop(image, *box, size, InterpolationMode.BICUBIC)
    view = Image.merge("RGB", [Image.fromarray(plane) for plane in resized.numpy()])  # ten times faster than at once
    chosen = {chance.name: parameters.column(chance.name)[k] for chance in CHANCES}
    if chosen["flip"]:
        view = functional.horizontal_flip(view)
    if chosen["jitter"]:
        for number in parameters.order[k]:
            view = _ADJUST[ADJUSTMENTS[number].name](view, float(parameters.factors[k, number]))
    if chosen["grey"]:
        view = functional.to_grayscale(view, num_output_channels=3)
    if chosen["blur"]:
        view = view.filter(ImageFilter.GaussianBlur(float(parameters.sigma[k])))  # as published
    if chosen["solarise"]:
        view = functional.solarize(view, recipe.solarise_threshold)
    return np.asarray(view)
