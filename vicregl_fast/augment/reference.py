"""A view from its parameters in plain torch: the oracle of the other backends, and quick enough for training.

Between the operations pixels are float32 in [0, 255], planar: images_n3hw. Every operation is per sample:
factors_n, float32, has one value for each image. Colour semantics are PIL's, without its rounding in between.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vicregl_fast.augment.normalisation import normalise_planes
from vicregl_fast.augment.operations import ADJUSTMENTS
from vicregl_fast.augment.parameters import ViewParameters
from vicregl_fast.augment.recipe import ViewRecipe

GREY_WEIGHTS = (0.299, 0.587, 0.114)

_CPU_CHUNK_VALUES = 1 << 20
"""Values worked on together on a CPU: 4 MB, so that one operation finds in cache what the last one wrote."""


def apply(recipe: ViewRecipe, parameters: ViewParameters, images: Sequence[Tensor]) -> Tensor:
    """Makes one view of every image.

    Args:
        recipe: the view's size and its solarising threshold; all else is in `parameters`.
        parameters: of the b images, in their order.
        images: uint8 [height, width, 3] each, on any one device.

    Returns: float32 [b, 3, size, size] in channels_last memory format, normalised by ImageNet's statistics.
    """
    device = images[0].device
    views = torch.empty((len(images), 3, recipe.size, recipe.size), device=device, memory_format=torch.channels_last)
    chunk = len(images) if device.type != "cpu" else max(1, _CPU_CHUNK_VALUES // (3 * recipe.size**2))
    for start in range(0, len(images), chunk):
        part = slice(start, start + chunk)
        cropped = crop_resize(images[part], parameters.boxes[part], recipe.size)
        normalise_planes(distort(recipe, parameters[part], cropped), views[part])
    return views


def distort(recipe: ViewRecipe, parameters: ViewParameters, images_n3hw: Tensor) -> Tensor:
    """Does all that follows the crop: flip, colour jitter, greyscale, blur, solarise."""
    images = list(images_n3hw.unbind(0))
    column = parameters.column
    _update(images, column("flip"), lambda some: some.flip(3))
    for turn in range(len(ADJUSTMENTS)):
        for number, each in enumerate(ADJUSTMENTS):
            has_turn = column("jitter") & (parameters.order[:, turn] == number)
            _update(images, has_turn, _ADJUST[each.name], column(each.name))
    _update(images, column("grey"), lambda some: grey(some).expand_as(some))
    _update(images, column("blur"), gaussian_blur, parameters.sigma)
    _update(images, column("solarise"), lambda some: solarise(some, recipe.solarise_threshold))
    return torch.stack(images)


def _update(
    images: list[Tensor], chosen_n: np.ndarray, operation: Callable[..., Tensor], *values_n: np.ndarray
) -> None:
    """Replaces the chosen images by operation(images, values), where values are the chosen ones' own.

    A list, since writing the results back into one tensor would take longer than most operations.
    """
    rows = np.flatnonzero(chosen_n)
    if len(rows):
        device = images[0].device
        values = (torch.from_numpy(value_n[rows]).to(device) for value_n in values_n)
        results = operation(torch.stack([images[row] for row in rows]), *values)
        for row, result in zip(rows, results.unbind(0), strict=True):
            images[row] = result


def crop_resize(images: Sequence[Tensor], boxes_n4: np.ndarray, size: int) -> Tensor:
    """Cuts a box from each uint8 [height, width, 3] image and resizes it, bicubic and antialiased.

    No pixel outside the box is read. Returns float32 [n, 3, size, size], whole numbers in [0, 255]. Values become
    bytes after the vertical pass, which comes first, and after the horizontal one, as in PIL. (PIL 13 begins with
    whichever pass is quicker, older ones with the horizontal; at hard edges the orders can be some 20 levels apart.)
    """
    one_pass = _pass_of_bytes if images[0].device.type == "cpu" else _pass_of_floats
    resized = []
    for image, (top, left, height, width) in zip(images, boxes_n4.tolist(), strict=True):
        crop_1chw = image[top : top + height, left : left + width].permute(2, 0, 1)[None]
        resized.append(one_pass(one_pass(crop_1chw, (size, width)), (size, size)))
    return torch.cat(resized).to(torch.float32, memory_format=torch.contiguous_format)


def _pass_of_bytes(pixels_1chw: Tensor, shape: tuple[int, int]) -> Tensor:
    return F.interpolate(pixels_1chw, shape, mode="bicubic", antialias=True)


def _pass_of_floats(pixels_1chw: Tensor, shape: tuple[int, int]) -> Tensor:
    """What torch's kernel for bytes does, which exists on the CPU only."""
    resized = F.interpolate(pixels_1chw.float(), shape, mode="bicubic", antialias=True)
    return resized.round_().clamp_(0, 255)


def adjust_brightness(images_n3hw: Tensor, factors_n: Tensor) -> Tensor:
    """Blends with black: 0 gives black, 1 the image."""
    return (images_n3hw * _column(factors_n)).clamp_(0, 255)


def adjust_contrast(images_n3hw: Tensor, factors_n: Tensor) -> Tensor:
    """Blends with the mean of the grey image: 0 gives that grey, 1 the image."""
    # Two steps, because the summation of one step over a lone image would depend on the number of threads.
    means_n3 = images_n3hw.mean(3).mean(2)
    grey_n = (means_n3 * means_n3.new_tensor(GREY_WEIGHTS)).sum(1)
    return (images_n3hw * _column(factors_n)).add_(_column(grey_n * (1 - factors_n))).clamp_(0, 255)


def adjust_saturation(images_n3hw: Tensor, factors_n: Tensor) -> Tensor:
    """Blends with the grey image: 0 gives it, 1 the image."""
    grey_n1hw = grey(images_n3hw).mul_(_column(1 - factors_n))
    return torch.addcmul(grey_n1hw, images_n3hw, _column(factors_n)).clamp_(0, 255)


def adjust_hue(images_n3hw: Tensor, turns_n: Tensor) -> Tensor:
    """Turns the hue of HSV: 1/3 makes red green, green blue and blue red. Saturation and value stay.

    Hue is measured in sixths of a turn from red, in [-3, 3], green at 2 and blue at -2. With the channels
    scaled to run from 0 to 1, its size is 1 - red + green + blue: in the sector from red to yellow (1, x,
    0) that is x, in the next (x, 1, 0) it is 2 - x, and so on. Without a branch, since selecting would take
    most of the time.
    """
    red, green, blue = images_n3hw.unbind(1)
    smallest = torch.minimum(torch.minimum(red, green), blue)
    chroma = torch.maximum(torch.maximum(red, green), blue).sub_(smallest)
    size = (green + blue).sub_(red).sub_(smallest).div_(chroma.clamp_min(1e-6)).add_(1)
    hue = size.copysign_(green - blue).add_(6 * turns_n[:, None, None])
    hue.sub_((hue / 6).round_(), alpha=6)
    # A channel's share of the chroma is 1 up to a sixth from its own hue, and falls to 0 over the next sixth.
    shares = (
        2 - hue.abs(),
        (hue - 2).abs_().sub_(3).abs_().sub_(1),
        (hue + 2).abs_().sub_(3).abs_().sub_(1),
    )
    return torch.stack([share.clamp_(0, 1).mul_(chroma).add_(smallest) for share in shares], dim=1)


def grey(images_n3hw: Tensor) -> Tensor:
    """Returns the grey images [n, 1, h, w] with the weights of ITU-R 601-2."""
    red, green, blue = GREY_WEIGHTS
    grey_n1hw = images_n3hw[:, :1] * red
    return grey_n1hw.add_(images_n3hw[:, 1:2], alpha=green).add_(images_n3hw[:, 2:], alpha=blue)


def gaussian_blur(images_n3hw: Tensor, sigmas_n: Tensor) -> Tensor:
    """Blurs by Gaussians cut at 3 sigma, in pixels; beyond the border lie copies of the border's pixels."""
    # From wide to narrow, so that the images which an outer tap concerns are the first ones.
    order_n = sigmas_n.argsort(descending=True)
    # In float64, so that rounding to float32 leaves no trace of how the others' sigmas shape these arrays.
    sorted_n = sigmas_n[order_n].double()
    radii_n = (3 * sorted_n).ceil()
    radius = int(radii_n[0])
    taps = torch.arange(-radius, radius + 1, device=images_n3hw.device)
    within_kn = taps[:, None].abs() <= radii_n
    weights_kn = torch.exp(-0.5 * (taps[:, None] / sorted_n) ** 2) * within_kn
    weights_kn = (weights_kn / weights_kn.sum(0)).float()
    counts_k = within_kn.sum(1).tolist()
    blurred = images_n3hw.index_select(0, order_n)
    for dim, border in ((3, (radius, radius, 0, 0)), (2, (0, 0, radius, radius))):
        padded = F.pad(blurred, border, mode="replicate")
        blurred = torch.zeros_like(blurred)
        for tap, (count, weights_n) in enumerate(zip(counts_k, weights_kn, strict=True)):
            source = padded[:count].narrow(dim, tap, blurred.shape[dim])
            blurred[:count].addcmul_(source, _column(weights_n[:count]))
    return blurred.index_select(0, order_n.argsort())


def solarise(images_n3hw: Tensor, threshold: float) -> Tensor:
    """Inverts the values at or above the threshold."""
    return torch.where(images_n3hw >= threshold, 255 - images_n3hw, images_n3hw)


_ADJUST: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": adjust_brightness,
    "contrast": adjust_contrast,
    "saturation": adjust_saturation,
    "hue": adjust_hue,
}


def _column(values_n: Tensor) -> Tensor:
    return values_n[:, None, None, None]
