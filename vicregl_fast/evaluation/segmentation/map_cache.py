"""Maps of whole images, kept for the quick protocol.

Shape letters: b samples, C channels, h×w cells, H×W pixels.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from itertools import chain, count, islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from dataprep.errors import UserError
from dataprep.notes import note
from dataprep.progress import progress_bar
from vicregl_fast.data.memory import GIB, available_memory
from vicregl_fast.evaluation.segmentation.features import SegmentationFeatures, cover
from vicregl_fast.evaluation.segmentation.map_batches import Batch, same_size_batches, whole_images
from vicregl_fast.evaluation.segmentation.masked_images import MaskedImages
from vicregl_fast.evaluation.segmentation.scaling import Sides
from vicregl_fast.philox import permutation

LABEL_STRIDE = 4
"""Cached masks keep every fourth pixel in each dimension. Bilinear logits hardly differ within four pixels, and the
loss, which is most of the work once maps are cached, takes a sixteenth of the time."""
MEMORY_SHARE = 0.5
"""Of the memory that is free before, maps take at most this share; if all would take more, they are in a file."""
ESTIMATED_FROM = 16
"""From how many images on is estimated what all will take."""


class KeptMaps:
    """bfloat16 maps [C, h, w], in memory; or in a file without a name, which goes when the program ends.

    Args:
        expected: how many maps there will be.
        folder: where the file would be; None for the system's temporary folder.
    """

    def __init__(self, expected: int, folder: Path | None):
        self._file: int | None = None
        self._expected, self._folder = expected, Path(tempfile.gettempdir()) if folder is None else folder
        self._maps: list[Tensor] = []
        self._bytes = 0
        self.shapes: list[tuple[int, ...]] = []
        self._offsets: list[int] = []

    @property
    def in_file(self) -> bool:
        """Whether they are kept in a file."""
        return self._file is not None

    def append(self, each: Tensor) -> None:
        """Keeps one more.

        Raises:
            UserError: the disk has too little space.
        """
        self.shapes.append(tuple(each.shape))
        self._offsets.append(self._bytes)
        self._bytes += each.nbytes
        if self._file is not None:
            self._write(each)
            return
        self._maps.append(each)
        estimated = self._bytes * self._expected // len(self._maps)
        seen_enough = len(self._maps) >= min(ESTIMATED_FROM, self._expected)
        if seen_enough and estimated > MEMORY_SHARE * (self._bytes + available_memory()):
            self._move(estimated)

    def __getitem__(self, index: int) -> Tensor:
        """One of them."""
        if self._file is None:
            return self._maps[index]
        size = 2 * int(np.prod(self.shapes[index]))
        data = os.pread(self._file, size, self._offsets[index])
        return torch.frombuffer(bytearray(data), dtype=torch.bfloat16).view(self.shapes[index])

    def _move(self, estimated: int) -> None:
        """Moves what is in memory to a file."""
        disk = os.statvfs(self._folder)
        free = disk.f_bavail * disk.f_frsize
        said = f"the maps of {self._expected} images take about {estimated / GIB:.1f} GiB"
        if disk.f_blocks and estimated > free:  # some file systems do not say
            raise UserError(
                f"{said}, more than {MEMORY_SHARE:.0%} of the free memory, and {self._folder} has "
                f"{free / GIB:.1f} GiB free: give a --cache_folder on a larger disk, or --protocol augmented"
            )
        note(f"{said}, more than {MEMORY_SHARE:.0%} of the free memory: they are kept in a file in {self._folder}")
        try:
            with tempfile.TemporaryFile(dir=self._folder) as file:
                self._file = os.dup(file.fileno())
        except OSError as error:
            raise self._refused(error) from error
        for each in self._maps:
            self._write(each)
        self._maps.clear()

    def _write(self, each: Tensor) -> None:
        assert self._file is not None
        data = memoryview(each.contiguous().view(torch.uint8).numpy().tobytes())
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> UserError:
        return UserError(
            f"maps cannot be kept in {self._folder} ({error.strerror}): give a --cache_folder on another disk, or "
            "--protocol augmented"
        )

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)


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
            mask = _nearest(item.mask, (height, width))
            mask = cover(mask, features.covered(height, width))
            self.masks.append(_nearest(mask, tuple(max(1, side // LABEL_STRIDE) for side in mask.shape)).short())  # type: ignore[arg-type]

    def batches(self, batch_size: int, iterations: int, seed: int) -> Iterator[Batch]:
        """Yields ``iterations`` batches, each of images of one size, in an order that is drawn anew for every epoch."""
        # Masks of one size may belong to maps of two sizes, since maps and masks are rounded down differently.
        sizes = [(*shape, *mask.shape) for shape, mask in zip(self.maps.shapes, self.masks, strict=True)]
        epochs = (
            same_size_batches(sizes, batch_size, permutation(seed, epoch, len(sizes)).tolist()) for epoch in count()
        )
        for indices in islice(chain.from_iterable(epochs), iterations):
            maps = torch.stack([self.maps[index] for index in indices])
            masks = torch.stack([self.masks[index] for index in indices])
            # The head's BatchNorm and 1×1 convolution are 1.6 times as fast on channels_last maps on a CPU.
            maps = maps.to(self._device, torch.float32, memory_format=torch.channels_last)
            yield maps, masks.to(self._device).long()


def _nearest(mask: Tensor, size: Sides) -> Tensor:
    if mask.shape == size:
        return mask
    return interpolate(mask[None, None].float(), size, mode="nearest-exact")[0, 0].long()
