"""Reads a mask: one value a pixel, in any lossless format, to the labels of its pixels."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dataprep.decoding import orientation_of, upright
from dataprep.errors import UnreadableImage, UserError
from dataprep.images import load_pixels
from vicregl_fast.evaluation.segmentation.labels import IGNORED, Labels

LOSSY = ("JPEG", "MPO", "WEBP", "AVIF", "JPEG2000")
"""Formats, in Pillow's names, that change labels, or of which Pillow does not say whether they did."""
_UNKNOWN = IGNORED - 1


def open_mask(path: Path, labels: Labels, orientation: int = 1) -> Tensor:
    """Reads a mask that has one value a pixel as int64 [H, W]: classes, and ``IGNORED``.

    It may be grey, of 1, 8 or 16 bits, a palette's, or a colour picture in which all channels are equal. It is turned
    upright by its own EXIF orientation, and then by ``orientation``, 1 to 8.

    Raises:
        UserError: it cannot be decoded, is a colour picture, a JPEG, or several pictures, or holds a value without a
            meaning.
    """
    try:
        image = load_pixels(path)
    except UnreadableImage as error:
        raise UserError(f"the mask {path} cannot be decoded ({error})") from error
    _check_format(image, path)
    values = np.asarray(upright(upright(image, orientation_of(image)), orientation))
    values = _one_channel(values, path)
    if values.dtype.kind == "f" and not (values == np.floor(values)).all():
        raise UserError(f"the mask {path} holds numbers that are not whole: a mask's values are class numbers")
    return torch.from_numpy(_meant(values, labels, path))


def _check_format(image: Image.Image, path: Path) -> None:
    if image.format in LOSSY:
        raise UserError(f"the mask {path} is a {image.format}, which changes labels: make masks as PNG files")
    pictures = getattr(image, "n_frames", 1)
    if pictures > 1:
        raise UserError(f"the mask {path} holds {pictures} pictures, and a mask is one: write each to a PNG file")
    if image.format == "GIF" and _grey_levels_differ(image):
        raise UserError(
            f"the mask {path} is a GIF whose grey levels are not the numbers of its palette, and either may be meant "
            "as class numbers: write them as grey levels of a PNG file"
        )


def _grey_levels_differ(image: Image.Image) -> bool:
    """Whether a palette gives its numbers grey levels, but others than the numbers."""
    palette = image.getpalette("RGB")
    if palette is None:
        return False
    used = np.unique(np.asarray(image))
    colours = np.asarray(palette, np.uint8).reshape(-1, 3)
    colours = colours[used[used < len(colours)]]
    return bool((colours == colours[:, :1]).all() and (colours[:, 0] != used[: len(colours)]).any())


def _one_channel(values: np.ndarray, path: Path) -> np.ndarray:
    """The values, [H, W], of a mask whose colour channels are all alike; a channel of opacity does not count."""
    if values.ndim == 2:
        return values
    colours = values[:, :, : 3 if values.shape[2] >= 3 else 1]
    if (colours != colours[:, :, :1]).any():
        raise UserError(f"the mask {path} is a colour picture: a mask has one channel, whose values are class numbers")
    return colours[:, :, 0]


def _meant(values: np.ndarray, labels: Labels, path: Path) -> np.ndarray:
    """The class of each value, or ``IGNORED``."""
    meanings = labels.meanings()
    table = np.full(max(256, max(meanings) + 2), IGNORED if labels.others_ignored else _UNKNOWN, np.int64)
    table[list(meanings)] = list(meanings.values())
    if values.dtype == np.uint8:
        meant = table[values]
    else:  # the last place of the table stands for all values beyond it, which have no meaning
        within = (values >= 0) & (values < len(table))
        meant = table[np.where(within, values, len(table) - 1).astype(np.int64)]
    wrong = values[meant == _UNKNOWN]
    if len(wrong):
        cure = (
            "--label_map needs a line for it, or `others ignore`"
            if labels.table is not None
            else "set --classes and --ignore_index to what the masks hold, or --foreground to the value that means "
            "class 1"
        )
        raise UserError(f"the mask {path} holds the label {int(wrong[0])}, but {labels}: {cure}")
    return meant
