"""Masks that are predicted from frozen feature maps, beside the true ones.

Shape letters: H×W pixels of an image and its mask.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vicregl_fast.evaluation.segmentation.config import Labels, SegmentationConfig
from vicregl_fast.evaluation.segmentation.linear_head import resize_logits
from vicregl_fast.evaluation.segmentation.linear_segmentation import fit_head
from vicregl_fast.evaluation.segmentation.map_batches import map_of, whole_images
from vicregl_fast.evaluation.segmentation.masks import MaskedImage, MaskedImages
from vicregl_fast.evaluation.segmentation.nearest_patches.config import NearestPatchesConfig
from vicregl_fast.evaluation.segmentation.nearest_patches.judge import nearest_patches
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.philox import permutation

CellClassifier = Callable[[Tensor], Tensor]
"""Takes maps float32 [b, C, h, w]; gives scores of classes [b, classes, h, w]."""


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

    def accuracy(self, labels: Labels) -> float | None:
        """The share of the pixels with a class that are predicted rightly; None if there are none."""
        counted = self.truth != labels.ignored
        return float((self.truth == self.predicted)[counted].mean()) if counted.any() else None


class SomeMaskedImages(MaskedImages):
    """Some of the images of another data set; ``seed`` draws at most ``count`` of them."""

    def __init__(self, whole: MaskedImages, count: int, seed: int):
        self._whole, self._chosen = whole, permutation(seed, 0, len(whole))[:count].tolist()
        self.masks, self.labels = whole.masks, whole.labels

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: int) -> MaskedImage:
        """Decodes one image and its mask, as the other data set does."""
        return self._whole[self._chosen[index]]


def learn_cells(backbone: Backbone, train: MaskedImages, by: str, seed: int, workers: int) -> CellClassifier:
    """Learns to classify cells: ``by`` is ``linear`` (the quick frozen head), or ``nearest`` (the nearest cells).

    Raises:
        UserError: an image or mask is bad, or there are too few.
    """
    if by == "nearest":
        return nearest_patches(backbone, train, NearestPatchesConfig(workers=workers), seed)
    return fit_head(backbone, train, SegmentationConfig(workers=workers), seed)


@torch.no_grad()
def predict_masks(
    backbone: Backbone, classify: CellClassifier, val: MaskedImages, workers: int
) -> Sequence[PredictedMask]:
    """Predicts the masks of whole images from their frozen maps, at the size of the true ones.

    Raises:
        UserError: an image or mask is bad, or the backbone accepts no image of its size.
    """
    made = []
    for item in whole_images(val, workers):
        predicted = resize_logits(classify(map_of(backbone, item)), item.mask[None]).argmax(1)[0].cpu()
        made.append(PredictedMask(item.pixels.permute(1, 2, 0).numpy(), item.mask.numpy(), predicted.numpy()))
    return made
