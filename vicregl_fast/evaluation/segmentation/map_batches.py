"""Training batches of the linear head: cached maps of whole images, or maps of augmented crops.

Shape letters: b samples, C channels, h×w cells, H×W pixels of the mask.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, count, islice

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import Dataset

from dataprep.progress import progress_bar
from vicregl_fast.augment.normalisation import normalise_bytes
from vicregl_fast.evaluation.loading import chunks, read_batches
from vicregl_fast.evaluation.segmentation.augmentation import SegmentationAugmentation
from vicregl_fast.evaluation.segmentation.masks import MaskedImage, MaskedImages
from vicregl_fast.models.backbone import Backbone, checked_maps
from vicregl_fast.philox import permutation

LABEL_STRIDE = 4
"""Cached masks keep every fourth pixel in each dimension. Bilinear logits hardly differ within four pixels, and the
loss, which is most of the work once maps are cached, takes a sixteenth of the time."""

Batch = tuple[Tensor, Tensor]
"""Maps float32 [b, C, h, w], or the pixels before they pass through the backbone, and their masks int64 [b, H, W]."""


class CachedMaps:
    """The maps of all training images, each taken whole, kept in memory: 2·C·h·w bytes an image.

    Attributes:
        maps: one bfloat16 [C, h, w] for each image, on the CPU.
        masks: one int64 [H / 4, W / 4], rounded down, for each image, on the CPU.
    """

    def __init__(self, backbone: Backbone, data: MaskedImages, workers: int):
        self.maps: list[Tensor] = []
        self.masks: list[Tensor] = []
        self._device = next(backbone.parameters()).device
        for item in progress_bar(whole_images(data, workers), desc="training maps", total=len(data), leave=False):
            self.maps.append(map_of(backbone, item)[0].bfloat16().cpu())
            size = [max(1, side // LABEL_STRIDE) for side in item.mask.shape]
            mask = interpolate(item.mask[None, None].float(), size, mode="nearest-exact")
            self.masks.append(mask[0, 0].long())

    def batches(self, batch_size: int, iterations: int, seed: int) -> Iterator[Batch]:
        """Yields ``iterations`` batches, each of images of one size, in an order that is drawn anew for every epoch."""
        # Masks of one size may belong to maps of two sizes, since maps and masks are rounded down differently.
        sizes = [(*part.shape, *mask.shape) for part, mask in zip(self.maps, self.masks, strict=True)]
        epochs = (
            same_size_batches(sizes, batch_size, permutation(seed, epoch, len(sizes)).tolist()) for epoch in count()
        )
        for indices in islice(chain.from_iterable(epochs), iterations):
            maps, masks = (torch.stack([part[i] for i in indices]) for part in (self.maps, self.masks))
            # The head's BatchNorm and 1×1 convolution are 1.6 times as fast on channels_last maps on a CPU.
            maps = maps.to(self._device, torch.float32, memory_format=torch.channels_last)
            yield maps, masks.to(self._device)


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
    backbone: Backbone,
    data: MaskedImages,
    augmentation: SegmentationAugmentation,
    batch_size: int,
    iterations: int,
    workers: int,
) -> Iterator[Batch]:
    """Yields ``iterations`` batches of the maps of augmented crops, with the crops' masks, on the backbone's device.

    Raises:
        UserError: an image or mask is bad, or the backbone accepts no crops of this size.
    """
    device = next(backbone.parameters()).device
    epochs = -(-iterations * batch_size // len(data))
    keys = [
        (epoch, index) for epoch in range(epochs) for index in permutation(augmentation.seed, epoch, len(data)).tolist()
    ]
    batches = chunks(keys, batch_size)[:iterations]
    for pixels, masks in read_batches(_Augmented(data, augmentation), batches, workers):
        with torch.no_grad():
            maps = checked_maps(backbone, normalise_bytes(pixels).to(device)).map.float()
        yield maps, masks.to(device)


def whole_images(data: MaskedImages, workers: int, indices: Sequence[int] | None = None) -> Iterator[MaskedImage]:
    """Yields decoded images with their masks one by one: all of them, or those of ``indices``."""
    order = range(len(data)) if indices is None else indices
    return read_batches(data, chunks(order, 1), workers, _only)


@torch.no_grad()
def map_of(backbone: Backbone, item: MaskedImage) -> Tensor:
    """The map of a whole image, float32 [1, C, h, w].

    Raises:
        UserError: the backbone accepts no image of this size.
    """
    device = next(backbone.parameters()).device
    return checked_maps(backbone, normalise_bytes(item.pixels)[None].to(device)).map.float()


class _Augmented(Dataset):
    """Augmented pixels uint8 [3, crop, crop] and mask int64 [crop, crop], by the key (epoch, sample index)."""

    def __init__(self, data: MaskedImages, augmentation: SegmentationAugmentation):
        self.data = data
        self.augmentation = augmentation

    def __getitem__(self, key: tuple[int, int]) -> Batch:
        epoch, index = key
        item = self.augmentation(self.data[index], epoch, index)
        return item.pixels, item.mask


def _only(items: list[MaskedImage]) -> MaskedImage:
    return items[0]
