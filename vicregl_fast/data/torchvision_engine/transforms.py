"""One view of one image by torchvision's functions, on PIL images where these are faster than on tensors."""

import numpy as np
from PIL import Image, ImageFilter
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from vicregl_fast.augment.parameters import BRIGHTNESS, CONTRAST, HUE, SATURATION, ViewParameters
from vicregl_fast.augment.recipe import ViewRecipe


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
    if parameters.flips[k]:
        view = functional.horizontal_flip(view)
    if parameters.jitter[k]:
        view = _jitter(view, parameters, k)
    if parameters.grey[k]:
        view = functional.to_grayscale(view, num_output_channels=3)
    if parameters.blur[k]:
        view = view.filter(ImageFilter.GaussianBlur(float(parameters.sigma[k])))  # as published
    if parameters.solarise[k]:
        view = functional.solarize(view, recipe.solarise_threshold)
    return np.asarray(view)


def _jitter(view: Image.Image, parameters: ViewParameters, k: int) -> Image.Image:
    for operation in parameters.order[k]:
        if operation == BRIGHTNESS:
            view = functional.adjust_brightness(view, float(parameters.brightness[k]))
        elif operation == CONTRAST:
            view = functional.adjust_contrast(view, float(parameters.contrast[k]))
        elif operation == SATURATION:
            view = functional.adjust_saturation(view, float(parameters.saturation[k]))
        else:
            assert operation == HUE
            view = functional.adjust_hue(view, float(parameters.hue[k]))
    return view
