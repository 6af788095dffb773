"""Pooled features of images.

Shape letters: n chosen images of a store, b of them in a batch, c channels.
"""

import numpy as np
import torch
from torch import Tensor

from dataprep.progress import progress_bar
from vicregl_fast.evaluation.classification.crop_feed import CentreCropFeed, CropFeeds
from vicregl_fast.models.backbone import Backbone, checked_maps


@torch.inference_mode()
def pooled_features(backbone: Backbone, crops: CentreCropFeed, chosen: np.ndarray, device: torch.device) -> Tensor:
    """Pooled features, float32 [n, c], of the centre crops of chosen images.

    They are computed on the crops' device, and in the mode (training or eval) that the backbone is in.

    Args:
        backbone: on the crops' device.
        crops: of the images.
        chosen: sample indices, int64 [n]; their features are in this order.
        device: where they are kept.

    Raises:
        UserError: an image does not decode, or the backbone accepts no image of this size.
    """
    features_nc = torch.empty(len(chosen), backbone.channels, device=device)
    filled, total = 0, -(-len(chosen) // crops.batch_size)
    for indices, images in progress_bar(crops.batches(chosen), desc="features", total=total, leave=False):
        rows = slice(filled, filled := filled + len(indices))
        assert np.array_equal(indices, chosen[rows])
        features_nc[rows] = pooled_of(backbone, images).to(device)
    return features_nc


def pooled_of(backbone: Backbone, images: Tensor) -> Tensor:
    """Pooled features, float32 [b, c], of normalised images [b, 3, size, size] on the backbone's device.

    Raises:
        UserError: the backbone accepts no image of this size.
    """
    return checked_maps(backbone, images, needs_cells=False).pooled.float()


@torch.inference_mode()
def try_crops(backbone: Backbone, crops: CropFeeds) -> None:
    """Computes the features of an empty crop.

    Raises:
        UserError: the backbone accepts no image of this size.
    """
    pooled_of(backbone, torch.zeros(1, 3, crops.size, crops.size, device=next(backbone.parameters()).device))
