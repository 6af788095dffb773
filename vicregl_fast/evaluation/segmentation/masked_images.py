"""Images with the labels of their pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2.functional import pil_to_tensor

from dataprep.bit_depth import find_range
from dataprep.errors import UnreadableImage, UserError
from dataprep.images import stored_layout
from vicregl_fast.data.image_folder import ImageFolder
from vicregl_fast.data.shared_range import range_like
from vicregl_fast.evaluation.loading import chunks, read_batches
from vicregl_fast.evaluation.segmentation.config import MaskOrientation
from vicregl_fast.evaluation.segmentation.labels import IGNORED, Labels
from vicregl_fast.evaluation.segmentation.masks import open_mask
from vicregl_fast.evaluation.segmentation.pairs import Pairs

SIDEWAYS = 5  # and above: EXIF orientations that exchange height and width


@dataclass(frozen=True)
class MaskedImage:
    """A decoded image with the labels of its pixels.

    Attributes:
        pixels: RGB, uint8 [3, H, W].
        mask: classes and ``IGNORED``, int64 [H, W].
    """

    pixels: Tensor
    mask: Tensor


class MaskedImages(Dataset):
    """Decoded pairs.

    Args:
        pairs: which images have which masks.
        labels: what the values in the masks mean.
        orientation: how masks lie whose images are turned by their EXIF orientation: as the ``stored`` pixels of the
            image do, ``upright``, or ``ask``, which takes what fits the sizes and refuses where both do.
        like: others, whose range of values the images of more than eight bits a channel take, as validation images do
            that of the training images; None finds their own.

    Attributes:
        labels: as given.
        named: where the masks are, for messages.

    Raises:
        UserError: the images hold values beyond the range of ``like``.
    """

    def __init__(
        self, pairs: Pairs, labels: Labels, orientation: MaskOrientation = "ask", like: "MaskedImages | None" = None
    ):
        self.labels, self.named = labels, pairs.named
        taken = None if like is None else range_like(pairs.source, like._images)
        self._images: ImageFolder = ImageFolder.of(pairs.source, taken or find_range(pairs.source))
        self._pairs, self._orientation = pairs, orientation

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> MaskedImage:
        """Decodes one image and its mask.

        Raises:
            UserError: one of them does not decode, they differ in size, the mask holds an unknown label, or it is
                unclear how the mask lies.
        """
        image_path, mask_path = self._pairs.paths(index)
        pixels = pil_to_tensor(self._images.open(index))
        mask = open_mask(mask_path, self.labels, self._turn(image_path, mask_path))
        if mask.shape != pixels.shape[1:]:
            sizes = [f"{shape[1]}x{shape[0]}" for shape in (mask.shape, pixels.shape[1:])]
            raise UserError(f"{mask_path} is {sizes[0]}, but its image {image_path} is {sizes[1]}: make them one size")
        return MaskedImage(pixels, mask)

    def name(self, index: int) -> str:
        """How messages name an image: its path."""
        return self._images.name(index)

    def _turn(self, image_path: Path, mask_path: Path) -> int:
        """The EXIF orientation by which a mask is turned with its image; 1 for none."""
        turn, height, width = _layout(image_path)
        if turn == 1 or self._orientation == "upright":
            return 1  # the image is not turned, or the mask lies as the turned image does
        own, *size = _layout(mask_path)
        if own != 1:
            return 1  # the mask turns itself
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


class ReadImages(NamedTuple):
    """What is known of images once all have been read.

    Attributes:
        pixels: how many of each class, int64 [classes].
        smallest: the indices of the image of the least height, and of that of the least width.
    """

    pixels: Tensor
    smallest: tuple[int, int]


def read_all(data: MaskedImages, workers: int) -> ReadImages:
    """Decodes every image and mask, and so checks them all.

    Raises:
        UserError: an image or mask is bad, or fewer than two classes occur.
    """
    batches = read_batches(data, chunks(range(len(data)), 16), workers, partial(_count, data.labels.classes))
    counted, sizes = zip(*batches, strict=True)
    *counts, ignored = torch.stack(counted).sum(0).tolist()
    present = [label for label, count in enumerate(counts) if count]
    if len(present) < 2:
        raise UserError(_too_few_classes(data, present, ignored))
    height, width = torch.cat(sizes).argmin(0).tolist()
    return ReadImages(torch.tensor(counts), (height, width))


def _too_few_classes(data: MaskedImages, present: Sequence[int], ignored: int) -> str:
    """Says that masks hold the classes ``present``, one or none, and so many ignored pixels."""
    value = data.labels.only_ignored
    held = f"only class {data.labels.name(present[0])}" if present else "no class"
    if ignored:
        held += f" and {ignored} pixels of " + ("ignored values" if value is None else f"the ignored value {value}")
    cure = "check the masks and what their values mean"
    if ignored and value is not None:
        cure = f"is {value} the foreground? then give --foreground {value}"
    return f"the masks in {data.named} hold {held}, so that a score would say nothing: {cure}"


def _count(classes: int, items: Sequence[MaskedImage]) -> tuple[Tensor, Tensor]:
    """Counts the pixels of each class and the ignored ones, int64 [classes + 1]; runs in the worker process.

    With them come height and width of each image, int64 [b, 2].
    """
    masks = torch.cat([item.mask.flatten() for item in items])
    assert IGNORED == -1
    counts = (masks + 1).bincount(minlength=classes + 1)
    return counts.roll(-1), torch.tensor([item.mask.shape for item in items])
