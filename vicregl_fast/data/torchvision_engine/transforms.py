"""Makes one view of one image by torchvision's functions, on Pillow images where these are faster than on tensors."""

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
    """Crops and distorts an image as was drawn for sample k of a batch.

    Args:
        image: uint8 [3, H, W]. It should lie in memory with channels last, as Pillow's images do: torch then resizes it
            three times as fast as Pillow does.
        recipe: the view's size and its solarising threshold.
        parameters: what was drawn for the samples of the batch.
        k: place of the image in the batch.

    Returns:
        The view, uint8 [S, S, 3].
    """
    box, size = parameters.boxes[k].tolist(), [recipe.size, recipe.size]
    resized = functional.resized_crop(image, *box, size, InterpolationMode.BICUBIC)
    view = Image.merge("RGB", [Image.fromarray(plane) for plane in resized.numpy()])  # far faster than permuting
    chosen = {chance.name: parameters.column(chance.name)[k] for chance in CHANCES}
    if chosen["flip"]:
        view = functional.horizontal_flip(view)
    if chosen["jitter"]:
        for number in parameters.order[k]:
            view = _ADJUST[ADJUSTMENTS[number].name](view, float(parameters.factors[k, number]))
    if chosen["grey"]:
        view = functional.to_grayscale(view, num_output_channels=3)
    if chosen["blur"]:
        view = view.filter(ImageFilter.GaussianBlur(float(parameters.sigma[k])))  # as in the released code
    if chosen["solarise"]:
        view = functional.solarize(view, recipe.solarise_threshold)
    return np.asarray(view)
