"""Maps of whole images, kept for the quick protocol.

Shape letters: b samples, C channels, h×w cells, H×W pixels.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, count, islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dataprep.progress import progress_bar
from vicregl_fast.evaluation.loading import chunks
from vicregl_fast.evaluation.segmentation.config import Sides
from vicregl_fast.evaluation.segmentation.features import SegmentationFeatures, cover
from vicregl_fast.evaluation.segmentation.kept_maps import KeptMaps
from vicregl_fast.evaluation.segmentation.linear_head import check_cells
from vicregl_fast.evaluation.segmentation.map_batches import Batch, Group, same_size_batches, whole_images
from vicregl_fast.evaluation.segmentation.masked_images import MaskedImages
from vicregl_fast.evaluation.segmentation.scaling import resize_mask
from vicregl_fast.philox import permutation

LABEL_STRIDE = 4
"""Cached masks keep every fourth pixel in each dimension. Bilinear logits hardly differ within four pixels, and the
loss, which is most of the work once maps are cached, takes a sixteenth of the time."""


class CachedMaps:
    """The maps of training images, each taken whole: 2·C·h·w bytes an image.

    Args:
        features: computes them.
        data: the images.
        chosen: which of them.
        base_size: long and short side within which they are resized; None takes them as they are.
        workers: processes that decode.
        folder: where maps are kept that memory does not hold.

    Attributes:
        maps: one for each image.
        masks: one int16 [H / 4, W / 4], rounded down, for each image; of what the map covers.

    Raises:
        UserError: an image or mask is bad, the backbone does not accept its size, or neither memory nor disk suffices.
    """

    def __init__(
        self,
        features: SegmentationFeatures,
        data: MaskedImages,
        chosen: Sequence[int],
        base_size: Sides | None,
        workers: int,
        folder: Path | None = None,
    ):
        self.maps = KeptMaps(len(chosen), folder)
        self.masks: list[Tensor] = []
        self._device = features.device
        images = whole_images(data, workers, chosen, base_size)
        for item in progress_bar(images, desc="training maps", total=len(chosen), leave=False):
            with torch.no_grad():
                self.maps.append(features(item.pixels[None])[0].bfloat16().cpu())
            height, width = item.pixels.shape[1:]
            mask = torch.from_numpy(resize_mask(item.mask.numpy().astype(np.int16), (height, width)))
            mask = cover(mask, features.covered(height, width))
            rows, columns = (max(1, side // LABEL_STRIDE) for side in mask.shape)
            self.masks.append(torch.from_numpy(resize_mask(mask.numpy(), (rows, columns))))

    def batches(self, batch_size: int, iterations: int, seed: int) -> Iterator[Batch]:
        """Yields ``iterations`` batches of images of any sizes, in an order that is drawn anew for every epoch.

        The last batch of an epoch has what is left of it; a single cell joins the batch before.

        Raises:
            UserError: a batch would have a single cell (``check_cells``).
        """
        fewest = min(shape[1:].numel() for shape in map(torch.Size, self.maps.shapes))
        check_cells(fewest * min(batch_size, len(self.maps.shapes)))
        # Masks of one size may belong to maps of two sizes, since maps and masks are rounded down differently.
        sizes = [(*shape, *mask.shape) for shape, mask in zip(self.maps.shapes, self.masks, strict=True)]
        epochs = (self._epoch(permutation(seed, epoch, len(sizes)).tolist(), batch_size) for epoch in count())
        for indices in islice(chain.from_iterable(epochs), iterations):
            yield [self._group(group) for group in same_size_batches(sizes, batch_size, indices)]

    def _epoch(self, order: list[int], batch_size: int) -> list[list[int]]:
        *batches, last = chunks(order, batch_size)
        if len(last) == 1 and torch.Size(self.maps.shapes[last[0]][1:]).numel() == 1 and batches:
            return [*batches[:-1], batches[-1] + last]
        return [*batches, last]

    def _group(self, indices: Sequence[int]) -> Group:
        maps = torch.stack([self.maps[index] for index in indices])
        masks = torch.stack([self.masks[index] for index in indices])
        # The head's BatchNorm and 1×1 convolution are 1.6 times as fast on channels_last maps on a CPU.
        maps = maps.to(self._device, torch.float32, memory_format=torch.channels_last)
        return maps, masks.to(self._device).long()
