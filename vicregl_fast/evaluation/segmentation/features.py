"""The maps of a backbone on which a linear head works.

Shape letters: b images, C channels, h×w cells, H×W pixels.
"""

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from vicregl_fast.augment.normalisation import normalise_bytes
from vicregl_fast.evaluation.segmentation.config import Sides
from vicregl_fast.evaluation.segmentation.labels import IGNORED
from vicregl_fast.models.backbone import Backbone, checked_maps, patch_sides
from vicregl_fast.models.stages import stage_channels, stage_maps


class SegmentationFeatures:
    """Computes maps, float32 [b, C, h, w], of images of any size.

    A ViT takes images of whole patches. Others are padded on the right and at the bottom with ImageNet's mean colour,
    so that the map covers ``covered(H, W)`` pixels instead of H×W.

    Args:
        backbone: whose maps.
        kind: ``last`` for the last map; ``stages`` for the last four stages, without the last norm, resized to the
            first of them and concatenated.

    Attributes:
        backbone: as given.
        channels: C.
    """

    def __init__(self, backbone: Backbone, kind: str):
        self.backbone, self._stages = backbone, kind == "stages"
        self.channels = sum(stage_channels(backbone)) if self._stages else backbone.channels
        self._patch = patch_sides(backbone)

    @property
    def device(self) -> torch.device:
        """Where the backbone is."""
        return next(self.backbone.parameters()).device

    def covered(self, height: int, width: int) -> Sides:
        """The size in pixels that the map of an image covers."""
        rows, columns = (-(-side // patch) * patch for side, patch in zip((height, width), self._patch, strict=True))
        return rows, columns

    def __call__(self, pixels: Tensor) -> Tensor:
        """The maps of pixels, uint8 [b, 3, H, W] on any device; gradients flow if torch's mode lets them.

        Raises:
            UserError: the backbone accepts no images of this size.
        """
        images = normalise_bytes(pixels.to(self.device, non_blocking=True))
        images = cover(images, self.covered(*images.shape[2:]), 0.0)
        if not self._stages:
            return checked_maps(self.backbone, images).map.float()
        first, *others = (stage.float() for stage in stage_maps(self.backbone, images))
        size = first.shape[2:]
        others = [interpolate(each, size, mode="bilinear", align_corners=False) for each in others]
        return torch.cat([first, *others], 1)


def cover(values: Tensor, size: Sides, fill: float = IGNORED) -> Tensor:
    """Pads [..., H, W] on the right and at the bottom to ``size``."""
    height, width = values.shape[-2:]
    if (height, width) == size:
        return values
    return pad(values, (0, size[1] - width, 0, size[0] - height), value=fill)
