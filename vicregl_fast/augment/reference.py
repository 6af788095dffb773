"""Makes views in plain torch. The other backends are tested against it, and it is fast enough for training.

Every operation takes and returns images float32 [n, 3, h, w] with levels in [0, 255]. Its strengths, float32 [n], have
one value for each image. Colours are computed as PIL does, but without its rounding to bytes after every operation.

Shape letters: n images, 3 channels (red, green, blue), h rows, w columns, k taps of the blur.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vicregl_fast.augment.normalisation import normalise_planes
from vicregl_fast.augment.operations import ADJUSTMENTS, GREY_WEIGHTS
from vicregl_fast.augment.parameters import ViewParameters
from vicregl_fast.augment.recipe import ViewRecipe

_CPU_CHUNK_VALUES = 1 << 20
"""Values that a CPU works on together: 4 MB, so that an operation finds the results of the previous one in cache."""


def apply(recipe: ViewRecipe, parameters: ViewParameters, images: Sequence[Tensor]) -> Tensor:
    """Makes one view of every image.

    Args:
        recipe: only its view size and solarising threshold are used; all else is in ``parameters``.
        parameters: what is done to each image, in their order.
        images: each uint8 [height, width, 3], all on one device.

    Returns:
        float32 [n, 3, size, size] in channels_last memory format, normalised by ImageNet's statistics.
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
    """Applies all that follows the crop: flip, colour jitter, greyscale, blur, solarise."""
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
    """Replaces the chosen images, [3, h, w] each, by ``operation(images, *values)`` with the values of these images.

    The images are a list, since writing results back into one tensor would take longer than most operations.
    """
    rows = np.flatnonzero(chosen_n)
    if len(rows):
        device = images[0].device
        values = (torch.from_numpy(value_n[rows]).to(device) for value_n in values_n)
        results = operation(torch.stack([images[row] for row in rows]), *values)
        for row, result in zip(rows, results.unbind(0), strict=True):
            images[row] = result


def crop_resize(images: Sequence[Tensor], boxes_n4: np.ndarray, size: int) -> Tensor:
    """Cuts a box from each image and resizes it, bicubic and antialiased. No pixel outside the box is read.

    The vertical pass comes first. Both passes round to bytes, as PIL's do. PIL 13 begins with the pass that is faster,
    older versions with the horizontal one. At hard edges the two orders can differ by some 20 levels.

    Args:
        images: each uint8 [height, width, 3].
        boxes_n4: int [n, 4], (top, left, height, width) in pixels.
        size: side of the result in pixels.

    Returns:
        float32 [n, 3, size, size], whole numbers in [0, 255].
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
    """Does what torch's kernel for bytes does, which exists on the CPU only."""
    resized = F.interpolate(pixels_1chw.float(), shape, mode="bicubic", antialias=True)
    return resized.round_().clamp_(0, 255)


def adjust_brightness(images_n3hw: Tensor, factors_n: Tensor) -> Tensor:
    """Blends with black: 0 gives black, 1 the image."""
    return (images_n3hw * _column(factors_n)).clamp_(0, 255)


def adjust_contrast(images_n3hw: Tensor, factors_n: Tensor) -> Tensor:
    """Blends with the mean of the grey image: 0 gives that grey, 1 the image."""
    # Two steps, since the order in which one step sums a single image would depend on the number of threads.
    means_n3 = images_n3hw.mean(3).mean(2)
    grey_n = (means_n3 * means_n3.new_tensor(GREY_WEIGHTS)).sum(1)
    return (images_n3hw * _column(factors_n)).add_(_column(grey_n * (1 - factors_n))).clamp_(0, 255)


def adjust_saturation(images_n3hw: Tensor, factors_n: Tensor) -> Tensor:
    """Blends with the grey image: 0 gives it, 1 the image."""
    grey_n1hw = grey(images_n3hw).mul_(_column(1 - factors_n))
    return torch.addcmul(grey_n1hw, images_n3hw, _column(factors_n)).clamp_(0, 255)


def adjust_hue(images_n3hw: Tensor, turns_n: Tensor) -> Tensor:
    """Turns the hue of HSV: a third of a turn makes red green, green blue and blue red. Saturation and value stay.

    Hue is measured in sixths of a turn from red, in [-3, 3], with green at 2 and blue at -2. If the channels are
    scaled to run from 0 to 1, its absolute value is 1 - red + green + blue: between red and yellow (1, x, 0) this is
    x, between yellow and green (x, 1, 0) it is 2 - x, and so on. There are no branches, since selecting would take
    most of the time.
    """
    red, green, blue = images_n3hw.unbind(1)
    smallest = torch.minimum(torch.minimum(red, green), blue)
    chroma = torch.maximum(torch.maximum(red, green), blue).sub_(smallest)
    size = (green + blue).sub_(red).sub_(smallest).div_(chroma.clamp_min(1e-6)).add_(1)
    hue = size.copysign_(green - blue).add_(6 * turns_n[:, None, None])
    hue.sub_((hue / 6).round_(), alpha=6)
    # A channel has all of the chroma up to a sixth of a turn from its own hue; over the next sixth, it falls to 0.
    shares = (
        2 - hue.abs(),
        (hue - 2).abs_().sub_(3).abs_().sub_(1),
        (hue + 2).abs_().sub_(3).abs_().sub_(1),
    )
    return torch.stack([share.clamp_(0, 1).mul_(chroma).add_(smallest) for share in shares], dim=1)


def grey(images_n3hw: Tensor) -> Tensor:
    """Returns the grey images, float32 [n, 1, h, w], with the weights of ITU-R 601-2."""
    red, green, blue = GREY_WEIGHTS
    grey_n1hw = images_n3hw[:, :1] * red
    return grey_n1hw.add_(images_n3hw[:, 1:2], alpha=green).add_(images_n3hw[:, 2:], alpha=blue)


def gaussian_blur(images_n3hw: Tensor, sigmas_n: Tensor) -> Tensor:
    """Blurs by Gaussians, cut at 3 sigma; sigmas are in pixels. The border's pixels are repeated beyond the border."""
    # Images are sorted from wide to narrow Gaussians, so that those which an outer tap concerns are the first ones.
    order_n = sigmas_n.argsort(descending=True)
    # In float64: the widest sigma of all images decides how long these sums are, and thereby how they are rounded.
    # Once rounded to float32, an image's weights do not depend on the other images.
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
    """Inverts the levels at or above the threshold."""
    return torch.where(images_n3hw >= threshold, 255 - images_n3hw, images_n3hw)


_ADJUST: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": adjust_brightness,
    "contrast": adjust_contrast,
    "saturation": adjust_saturation,
    "hue": adjust_hue,
}


def _column(values_n: Tensor) -> Tensor:
    return values_n[:, None, None, None]
