"""Pooled features of images.

Shape letters: n images of a store, b of them in a batch, c channels.
"""

import numpy as np
import torch
from torch import Tensor

from dataprep.progress import progress_bar
from vicregl_fast.evaluation.classification.crop_feed import CentreCropFeed
from vicregl_fast.models.backbone import Backbone, checked_maps


@torch.inference_mode()
def pooled_features(backbone: Backbone, crops: CentreCropFeed, count: int, device: torch.device) -> Tensor:
    """Pooled features, float32 [n, c], of the centre crops of all n images.

    They are computed on the crops' device, and in the mode (training or eval) that the backbone is in.

    Args:
        backbone: on the crops' device.
        crops: of the images.
        count: n.
        device: where they are kept.

    Raises:
        UserError: an image does not decode, or the backbone accepts no image of this size.
    """
    batches = crops.batches(np.arange(count))
    features_nc = torch.empty(count, backbone.channels, device=device)
    for indices, images in progress_bar(batches, desc="features", total=-(-count // crops.batch_size), leave=False):
        features_nc[torch.from_numpy(indices)] = pooled_of(backbone, images).to(device)
    return features_nc


def pooled_of(backbone: Backbone, images: Tensor) -> Tensor:
    """Pooled features, float32 [b, c], of normalised images [b, 3, size, size] on the backbone's device.

    Raises:
        UserError: the backbone accepts no image of this size.
    """
    return checked_maps(backbone, images, needs_cells=False).pooled.float()
