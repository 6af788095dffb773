"""Draws the box of a stored image that a view shows, by RandomResizedCrop's rule, from words of a sample's counter.

A box is (top, left, height, width) in pixels of the stored image, y down, x right. In the compiled functions ``seed``
is uint64; ``epoch``, ``sample``, ``view`` and sizes are int64. Shape letters: b samples, 4 the numbers of a box.
"""

import math

import numpy as np
from numba import njit

from vicregl_fast.draws import CROP_TRIES
from vicregl_fast.geometry.crop_rule import CropRule
from vicregl_fast.philox import below, sample_words, uniform


@njit(nogil=True, cache=True)
def sample_box(seed, epoch, sample, view, image_height, image_width, scale, ratio):
    """Returns the box of one view, four int64.

    Ten boxes are tried. If none fits, the box is the largest centred one whose ratio is in range (as in torchvision's
    RandomResizedCrop.get_params). Try t takes the four words of draw t: area, log ratio, top, left.

    Args:
        seed, epoch, sample, view: key and counter.
        image_height, image_width: of the stored image, in pixels.
        scale, ratio: ranges of ``CropRule``, pairs of float64.
    """
    area = np.float64(image_height) * np.float64(image_width)
    log_low, log_high = math.log(ratio[0]), math.log(ratio[1])
    for attempt in range(CROP_TRIES):
        area_word, ratio_word, top_word, left_word = sample_words(seed, epoch, sample, view, attempt)
        target = area * (scale[0] + (scale[1] - scale[0]) * uniform(area_word))
        aspect = math.exp(log_low + (log_high - log_low) * uniform(ratio_word))
        width = round(math.sqrt(target * aspect))
        height = round(math.sqrt(target / aspect))
        if 0 < height <= image_height and 0 < width <= image_width:
            top = below(top_word, image_height - height + 1)
            left = below(left_word, image_width - width + 1)
            return top, left, height, width
    height, width = image_height, image_width
    if image_width < ratio[0] * image_height:
        height = max(1, round(image_width / ratio[0]))
    elif image_width > ratio[1] * image_height:
        width = max(1, round(image_height * ratio[1]))
    return (image_height - height) // 2, (image_width - width) // 2, height, width


@njit(nogil=True, cache=True)
def _fill_boxes(seed, epoch, view, indices_b, heights_b, widths_b, scale, ratio, boxes_b4):
    """Fills ``boxes_b4``, int32, for samples of int64 indices, heights and widths."""
    for i in range(indices_b.shape[0]):
        top, left, height, width = sample_box(seed, epoch, indices_b[i], view, heights_b[i], widths_b[i], scale, ratio)
        boxes_b4[i, 0], boxes_b4[i, 1], boxes_b4[i, 2], boxes_b4[i, 3] = top, left, height, width


def sample_boxes(
    rule: CropRule,
    seed: int,
    epoch: int,
    view: int,
    indices_b: np.ndarray,
    heights_b: np.ndarray,
    widths_b: np.ndarray,
) -> np.ndarray:
    """Draws the boxes of one view of b samples.

    Args:
        rule: ranges of the crop's area and ratio.
        seed, epoch, view: key and counter, except the sample.
        indices_b: int [b], the samples' indices in the store.
        heights_b, widths_b: int [b], sizes of the stored images in pixels.

    Returns:
        int32 [b, 4].
    """
    boxes_b4 = np.empty((len(indices_b), 4), dtype=np.int32)
    _fill_boxes(
        np.uint64(seed),
        np.int64(epoch),
        np.int64(view),
        np.asarray(indices_b, dtype=np.int64),
        np.asarray(heights_b, dtype=np.int64),
        np.asarray(widths_b, dtype=np.int64),
        (float(rule.scale[0]), float(rule.scale[1])),
        (float(rule.ratio[0]), float(rule.ratio[1])),
        boxes_b4,
    )
    return boxes_b4
