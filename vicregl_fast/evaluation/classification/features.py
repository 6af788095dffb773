"""Pooled features of centre crops.

Shape letters: n images, c channels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from dataprep.errors import UserError
from dataprep.progress import progress_bar
from vicregl_fast.augment.normalisation import normalise_bytes
from vicregl_fast.data.store import Images
from vicregl_fast.evaluation.loading import chunks, read_batches
from vicregl_fast.models.backbone import Backbone, checked_maps


class CentreCrops(Dataset):
    """Centre crops of images, float32 [3, size, size] each, normalised by ImageNet's statistics.

    Args:
        images: where the images come from.
        resize: length of the short side, in pixels, to which an image is resized first (bicubic, antialiased).
        size: side of the square crop in pixels.

    Raises:
        UserError: the crop is larger than the resized short side, or its size is not positive.
    """

    def __init__(self, images: Images, resize: int, size: int):
        if not 0 < size <= resize:
            raise UserError(f"a centre crop of {size} pixels does not fit a short side of {resize}: lower --size")
        self.images = images
        self._crop = v2.Compose(
            [v2.Resize(resize, v2.InterpolationMode.BICUBIC), v2.CenterCrop(size), v2.PILToTensor()]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return normalise_bytes(self._crop(self.images.open(index)))


@torch.inference_mode()
def pooled_features(
    backbone: Backbone, crops: CentreCrops, order: Sequence[int], batch_size: int, workers: int
) -> Tensor:
    """Pooled features, float32 [n, c] on the CPU, of the n crops whose indices are in ``order``.

    They are computed on the backbone's device, and in the mode (training or eval) that it is in.

    Raises:
        UserError: an image does not decode, or the backbone accepts no image of this size.
    """
    device = next(backbone.parameters()).device
    batches = chunks(order, batch_size)
    progress = progress_bar(read_batches(crops, batches, workers), desc="features", total=len(batches), leave=False)
    return torch.cat([pooled_of(backbone, images.to(device)).cpu() for images in progress])


def pooled_of(backbone: Backbone, images: Tensor) -> Tensor:
    """Pooled features, float32 [b, c], of normalised images [b, 3, size, size] on the backbone's device.

    Raises:
        UserError: the backbone accepts no image of this size.
    """
    return checked_maps(backbone, images, needs_cells=False).pooled.float()
