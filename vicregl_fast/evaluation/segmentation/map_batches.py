"""Training batches of linear heads by augmentation, and images one by one.

Shape letters: b samples, C channels, h×w cells, H×W pixels.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vicregl_fast.evaluation.loading import chunks, read_batches
from vicregl_fast.evaluation.segmentation.augmentation import SegmentationAugmentation
from vicregl_fast.evaluation.segmentation.config import Sides
from vicregl_fast.evaluation.segmentation.features import SegmentationFeatures, cover
from vicregl_fast.evaluation.segmentation.masked_images import MaskedImage, MaskedImages
from vicregl_fast.evaluation.segmentation.scaling import resize_pixels, size_within
from vicregl_fast.philox import permutation

Group = tuple[Tensor, Tensor]
"""Maps float32 [b, C, h, w] of images of one size, and the masks int64 [b, H, W] of the pixels that they cover."""
Batch = list[Group]
"""The images of one step, in groups by their size."""


def same_size_batches(sizes: Sequence[tuple[int, ...]], batch_size: int, order: Sequence[int]) -> Iterator[list[int]]:
    """Cuts ``order``, the indices of samples, into batches of samples of the same size; sample k has ``sizes[k]``.

    What fills no batch comes last, in smaller ones.
    """
    waiting: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index in order:
        group = waiting[sizes[index]]
        group.append(index)
        if len(group) == batch_size:
            yield waiting.pop(sizes[index])
    yield from waiting.values()


def augmented_batches(
    features: SegmentationFeatures,
    data: MaskedImages,
    chosen: Sequence[int],
    augmentation: SegmentationAugmentation,
    batch_size: int,
    iterations: int,
    workers: int,
    learns: bool = False,
) -> Iterator[Batch]:
    """Yields ``iterations`` batches of the maps of augmented crops of the ``chosen`` samples, on the backbone's device.

    Args:
        learns: whether gradients may flow into the backbone. Its maps are computed when they are asked for, so that
            each batch sees what the step before has changed.

    Raises:
        UserError: an image or mask is bad, or the backbone accepts no crops of this size.
    """
    epochs = -(-iterations * batch_size // len(chosen))
    keys = [
        (epoch, chosen[place])
        for epoch in range(epochs)
        for place in permutation(augmentation.seed, epoch, len(chosen)).tolist()
    ]
    batches = chunks(keys, batch_size)[:iterations]
    covered = features.covered(*augmentation.crop)
    for pixels, masks in read_batches(_Augmented(data, augmentation), batches, workers):
        with torch.set_grad_enabled(learns):
            maps = features(pixels)
        yield [(maps, cover(masks.to(maps.device).long(), covered))]


def whole_images(
    data: MaskedImages, workers: int, indices: Sequence[int] | None = None, base_size: Sides | None = None
) -> Iterator[MaskedImage]:
    """Yields decoded images with their masks one by one: all of them, or those of ``indices``.

    Where there is a ``base_size``, the pixels are resized within it; masks keep their size.
    """
    order = range(len(data)) if indices is None else indices
    return read_batches(_Whole(data, base_size), chunks(order, 1), workers, _only)


class _Augmented(Dataset):
    """Augmented pixels uint8 [3, h, w] and mask int16 [h, w], by the key (epoch, sample index)."""

    def __init__(self, data: MaskedImages, augmentation: SegmentationAugmentation):
        self.data = data
        self.augmentation = augmentation

    def __getitem__(self, key: tuple[int, int]) -> Group:
        epoch, index = key
        item = self.augmentation(self.data[index], epoch, index)
        return item.pixels, item.mask.short()  # a quarter of the bytes to send


class _Whole(Dataset):
    def __init__(self, data: MaskedImages, base_size: Sides | None):
        self.data = data
        self.base_size = base_size

    def __getitem__(self, index: int) -> MaskedImage:
        item = self.data[index]
        if self.base_size is None:
            return item
        size = size_within(tuple(item.mask.shape), self.base_size)  # type: ignore[arg-type]
        pixels = resize_pixels(np.ascontiguousarray(item.pixels.permute(1, 2, 0).numpy()), size)
        return MaskedImage(torch.from_numpy(pixels).permute(2, 0, 1), item.mask)


def _only(items: list[MaskedImage]) -> MaskedImage:
    return items[0]
