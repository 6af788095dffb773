"""Masks that are predicted from frozen feature maps, beside the true ones.

Shape letters: H×W pixels of an image and its mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from vicregl_fast.evaluation.segmentation.config import SegmentationConfig
from vicregl_fast.evaluation.segmentation.features import SegmentationFeatures
from vicregl_fast.evaluation.segmentation.inference import CellClassifier, segment
from vicregl_fast.evaluation.segmentation.labels import IGNORED
from vicregl_fast.evaluation.segmentation.linear_segmentation import fit_heads
from vicregl_fast.evaluation.segmentation.map_batches import whole_images
from vicregl_fast.evaluation.segmentation.masked_images import MaskedImages
from vicregl_fast.evaluation.segmentation.nearest_patches.config import NearestPatchesConfig
from vicregl_fast.evaluation.segmentation.nearest_patches.judge import nearest_patches
from vicregl_fast.evaluation.segmentation.protocol import protocol_of


@dataclass(frozen=True)
class PredictedMask:
    """An image with its mask and a predicted one.

    Attributes:
        image: uint8 [H, W, 3].
        truth, predicted: labels, int64 [H, W].
    """

    image: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray

    @property
    def accuracy(self) -> float | None:
        """The share of the pixels with a class that are predicted rightly; None if there are none."""
        counted = self.truth != IGNORED
        return float((self.truth == self.predicted)[counted].mean()) if counted.any() else None


def learn_cells(
    features: SegmentationFeatures, train: MaskedImages, chosen: Sequence[int], by: str, seed: int, workers: int
) -> CellClassifier:
    """Learns to classify cells: ``by`` is ``linear`` (the quick frozen head), or ``nearest`` (the nearest cells).

    Raises:
        UserError: an image or mask is bad, or there are too few.
    """
    if by == "nearest":
        return nearest_patches(features, train, chosen, NearestPatchesConfig(workers=workers), seed)
    config = SegmentationConfig(protocol="cached", workers=workers)
    protocol = protocol_of(config, features.backbone.name)
    return fit_heads(features, train, chosen, config, protocol, seed)[0]


@torch.no_grad()
def predict_masks(
    features: SegmentationFeatures, classify: CellClassifier, val: MaskedImages, chosen: Sequence[int], workers: int
) -> Sequence[PredictedMask]:
    """Predicts the masks of whole images from their frozen maps, at the size of the true ones.

    Raises:
        UserError: an image or mask is bad, or the backbone accepts no image of its size.
    """
    made = []
    for item in whole_images(val, workers, chosen):
        (logits,) = segment(features, [classify], item.pixels)
        predicted = logits.argmax(1)[0].cpu()
        made.append(PredictedMask(item.pixels.permute(1, 2, 0).numpy(), item.mask.numpy(), predicted.numpy()))
    return made
