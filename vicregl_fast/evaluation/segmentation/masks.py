"""Pairs images with their masks, and checks what the masks hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2.functional import pil_to_tensor

from dataprep.bit_depth import find_range
from dataprep.decoding import orientation_of, upright
from dataprep.errors import UnreadableImage, UserError
from dataprep.images import load_pixels, stored_layout
from dataprep.labels import NONE
from dataprep.sources import list_images
from vicregl_fast.data.image_folder import open_image
from vicregl_fast.evaluation.loading import chunks, read_batches
from vicregl_fast.evaluation.segmentation.config import Labels, MaskOrientation

LOSSY = ("JPEG", "MPO", "WEBP", "AVIF", "JPEG2000")
"""Formats, in Pillow's names, that change labels, or of which Pillow does not say whether they did."""
SIDEWAYS = 5  # and above: EXIF orientations that exchange height and width


@dataclass(frozen=True)
class MaskedImage:
    """A decoded image with the labels of its pixels.

    Attributes:
        pixels: RGB, uint8 [3, H, W].
        mask: labels, int64 [H, W].
    """

    pixels: Tensor
    mask: Tensor


class MaskedImages(Dataset):
    """Images of one folder with the masks of another, paired by their relative paths without the extension.

    Args:
        images, masks: the two folders.
        labels: what the values in the masks mean.
        orientation: how masks lie whose images are turned by their EXIF orientation: as the ``stored`` pixels of the
            image do, ``upright``, or ``ask``, which takes what fits the sizes and refuses where both do.

    Attributes:
        masks, labels: as given.

    Raises:
        UserError: a folder is missing or has no images, an image has no mask, or two masks differ only in their
            extension.
    """

    def __init__(self, images: Path, masks: Path, labels: Labels, orientation: MaskOrientation = "ask"):
        by_stem: dict[Path, Path] = {}
        for mask in list_images(masks, labels=NONE).files:
            other = by_stem.setdefault(Path(mask).with_suffix(""), Path(mask))
            if other != Path(mask):
                raise UserError(f"{masks} has two masks of one name, {other} and {mask}: leave one")
        self.masks, self.labels, self._orientation = masks, labels, orientation
        self._pairs: list[tuple[Path, Path]] = []
        source = list_images(images, labels=NONE)
        source.say_remarks()
        self._range = find_range(source)
        for image in source.files:
            stem = Path(image).with_suffix("")
            if stem not in by_stem:
                raise UserError(f"{images / image} has no mask: {masks} needs a file {stem}.png")
            self._pairs.append((images / image, masks / by_stem[stem]))

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> MaskedImage:
        """Decodes one image and its mask.

        Raises:
            UserError: one of them does not decode, they differ in size, the mask holds an unknown label, or it is
                unclear how the mask lies.
        """
        image_path, mask_path = self._pairs[index]
        pixels = pil_to_tensor(open_image(image_path, self._range))
        mask = open_mask(mask_path, self.labels, self._turn(image_path, mask_path))
        if mask.shape != pixels.shape[1:]:
            sizes = [f"{shape[1]}x{shape[0]}" for shape in (mask.shape, pixels.shape[1:])]
            raise UserError(f"{mask_path} is {sizes[0]}, but its image {image_path} is {sizes[1]}: make them one size")
        return MaskedImage(pixels, mask)

    def _turn(self, image_path: Path, mask_path: Path) -> int:
        """The EXIF orientation by which a mask is turned with its image; 1 for none."""
        (turn, height, width), (own, *size) = (_layout(path) for path in (image_path, mask_path))
        if turn == 1 or own != 1 or self._orientation == "upright":
            return 1  # the image is not turned, or the mask turns itself, or lies as the turned image does
        stored, turned = [height, width], [width, height] if turn >= SIDEWAYS else [height, width]
        if self._orientation == "ask" and stored == turned == size:
            raise UserError(
                f"{image_path} is turned by its EXIF orientation and its mask {mask_path} is not: say with "
                "--mask_orientation whether such masks lie as the stored pixels do (stored) or as the turned image "
                "(upright)"
            )
        return turn if self._orientation == "stored" or size == stored else 1


def _layout(path: Path) -> tuple[int, int, int]:
    try:
        return stored_layout(path)
    except UnreadableImage:
        return 1, 0, 0  # decoding it gives the reason


def open_mask(path: Path, labels: Labels, orientation: int = 1) -> Tensor:
    """Reads a mask that has one value a pixel as int64 [H, W].

    It may be grey, of 1, 8 or 16 bits, a palette's, or a colour picture in which all channels are equal. It is turned
    upright by its own EXIF orientation, and then by ``orientation``, 1 to 8.

    Raises:
        UserError: it cannot be decoded, is a colour picture or a JPEG, or holds a label that is neither a class nor
            ignored.
    """
    try:
        image = load_pixels(path)
    except UnreadableImage as error:
        raise UserError(f"the mask {path} cannot be decoded ({error})") from error
    if image.format in LOSSY:
        raise UserError(f"the mask {path} is a {image.format}, which changes labels: make masks as PNG files")
    values = np.asarray(upright(upright(image, orientation_of(image)), orientation))
    values = _one_channel(values, path)
    if values.dtype.kind == "f" and not (values == np.floor(values)).all():
        raise UserError(f"the mask {path} holds numbers that are not whole: a mask's values are class numbers")
    mask = torch.from_numpy(values.astype(np.int64))
    if labels.foreground is not None:
        mask[mask == labels.foreground] = 1
    outside = (mask < 0) | (mask >= labels.classes)
    wrong = mask[outside if labels.ignore_index is None else outside & (mask != labels.ignore_index)]
    if len(wrong):
        raise UserError(
            f"the mask {path} holds the label {int(wrong[0])}, but classes are 0 to {labels.classes - 1} and "
            f"{'none' if labels.ignore_index is None else labels.ignore_index} is ignored: set --classes and "
            "--ignore_index to what the masks hold, or --foreground to the value that means class 1"
        )
    return mask


def _one_channel(values: np.ndarray, path: Path) -> np.ndarray:
    """The values, [H, W], of a mask whose colour channels are all alike; a channel of opacity does not count."""
    if values.ndim == 2:
        return values
    colours = values[:, :, : 3 if values.shape[2] >= 3 else 1]
    if (colours != colours[:, :, :1]).any():
        raise UserError(f"the mask {path} is a colour picture: a mask has one channel, whose values are class numbers")
    return colours[:, :, 0]


def class_pixels(data: MaskedImages, workers: int) -> Tensor:
    """Counts the pixels of each class, int64 [classes]. Decodes every image and mask, and so checks them all.

    Raises:
        UserError: an image or mask is bad, or fewer than two classes occur.
    """
    batches = read_batches(data, chunks(range(len(data)), 16), workers, partial(_count, data.labels))
    *counts, ignored = torch.stack(list(batches)).sum(0).tolist()
    present = [label for label, count in enumerate(counts) if count]
    if len(present) < 2:
        value = data.labels.ignore_index
        raise UserError(
            f"the masks in {data.masks} hold {f'only class {present[0]}' if present else 'no class'}"
            + (f" and {ignored} pixels of the ignored value {value}" if ignored else "")
            + ", so that a score would say nothing: "
            + (f"is {value} the foreground? then give --foreground {value}" if ignored else "check masks and --classes")
        )
    return torch.tensor(counts)


def _count(labels: Labels, items: Sequence[MaskedImage]) -> Tensor:
    """Counts the pixels of each class and the ignored ones, int64 [classes + 1]; runs in the worker process."""
    masks = torch.cat([item.mask.flatten() for item in items])
    counts = masks[masks != labels.ignored].bincount(minlength=labels.classes)
    return torch.cat([counts, (masks == labels.ignored).sum()[None]])
