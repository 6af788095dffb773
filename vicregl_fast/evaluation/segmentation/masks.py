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
from dataprep.errors import UnreadableImage, UserError
from dataprep.images import load_pixels
from dataprep.sources import list_images
from vicregl_fast.data.image_folder import open_image
from vicregl_fast.evaluation.loading import chunks, read_batches
from vicregl_fast.evaluation.segmentation.config import Labels


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

    Attributes:
        labels: as given.

    Raises:
        UserError: a folder is missing or has no images, an image has no mask, or two masks differ only in their
            extension.
    """

    def __init__(self, images: Path, masks: Path, labels: Labels):
        by_stem: dict[Path, Path] = {}
        for mask in list_images(masks).files:
            other = by_stem.setdefault(Path(mask).with_suffix(""), Path(mask))
            if other != Path(mask):
                raise UserError(f"{masks} has two masks of one name, {other} and {mask}: leave one")
        self.labels = labels
        self._pairs: list[tuple[Path, Path]] = []
        source = list_images(images)
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
            UserError: one of them does not decode, they differ in size, or the mask holds an unknown label.
        """
        image_path, mask_path = self._pairs[index]
        pixels = pil_to_tensor(open_image(image_path, self._range))
        mask = open_mask(mask_path, self.labels)
        if mask.shape != pixels.shape[1:]:
            sizes = [f"{shape[1]}x{shape[0]}" for shape in (mask.shape, pixels.shape[1:])]
            raise UserError(f"{mask_path} is {sizes[0]}, but its image {image_path} is {sizes[1]}: make them one size")
        return MaskedImage(pixels, mask)


def open_mask(path: Path, labels: Labels) -> Tensor:
    """Reads a mask that has one value a pixel (grey, palette or 16 bit) as int64 [H, W].

    Raises:
        UserError: it cannot be decoded, is a colour picture, or holds a label that is neither a class nor ignored.
    """
    try:
        values = np.asarray(load_pixels(path))
    except UnreadableImage as error:
        raise UserError(f"the mask {path} cannot be decoded ({error})") from error
    if values.ndim != 2:
        raise UserError(f"the mask {path} is a colour picture: a mask has one channel, whose values are class numbers")
    mask = torch.from_numpy(values.astype(np.int64))
    wrong = mask[((mask < 0) | (mask >= labels.classes)) & (mask != labels.ignore_index)]
    if len(wrong):
        raise UserError(
            f"the mask {path} holds the label {int(wrong[0])}, but classes are 0 to {labels.classes - 1} and "
            f"{labels.ignore_index} is ignored: set --classes and --ignore_index to what the masks hold"
        )
    return mask


def class_pixels(data: MaskedImages, workers: int) -> Tensor:
    """Counts the pixels of each class, int64 [classes]. Decodes every image and mask, and so checks them all.

    Raises:
        UserError: an image or mask is bad, or no pixel has a class.
    """
    batches = read_batches(data, chunks(range(len(data)), 16), workers, partial(_count, data.labels))
    total = torch.stack(list(batches)).sum(0)
    if not total.any():
        raise UserError(f"the masks hold nothing but the ignored label {data.labels.ignore_index}")
    return total


def _count(labels: Labels, items: Sequence[MaskedImage]) -> Tensor:
    """Counts the pixels of each class, int64 [classes]; runs in the worker process, which then sends no masks."""
    masks = torch.cat([item.mask.flatten() for item in items])
    return masks[masks != labels.ignore_index].bincount(minlength=labels.classes)
