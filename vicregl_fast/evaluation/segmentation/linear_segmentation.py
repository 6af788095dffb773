"""Linear segmentation of frozen features: how the paper judges local features (docs/method.md, Evaluation)."""

from collections.abc import Iterator

import torch
from torch import Tensor

from dataprep.progress import progress_bar
from vicregl_fast.augment.normalisation import normalise_bytes
from vicregl_fast.evaluation.segmentation.augmentation import SegmentationAugmentation
from vicregl_fast.evaluation.segmentation.config import SegmentationConfig
from vicregl_fast.evaluation.segmentation.linear_head import LinearHead, resize_logits, train_head
from vicregl_fast.evaluation.segmentation.map_batches import (
    Batch,
    CachedMaps,
    augmented_batches,
    map_of,
    same_size_batches,
    whole_images,
)
from vicregl_fast.evaluation.segmentation.masks import MaskedImages, class_pixels
from vicregl_fast.evaluation.segmentation.score import SegmentationScore, majority_figures
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.philox import permutation

BATCHNORM_IMAGES = 64
"""Number of training images, at most, on which an untrained network's BatchNorm statistics are re-estimated."""


class SegmentationJudge:
    """Judges a backbone by how well a linear head on its frozen feature maps segments images.

    Args:
        train, val: images with masks. All are read once, so that a bad one is reported before any training.
        config: how the head is trained.

    Raises:
        UserError: an image or mask is bad, or fewer than two classes occur in the masks of one side.
    """

    def __init__(self, train: MaskedImages, val: MaskedImages, config: SegmentationConfig):
        self._train, self._val, self._config = train, val, config
        self._train_pixels, self._val_pixels = (class_pixels(data, config.workers) for data in (train, val))

    @property
    def task(self) -> None:
        """No column of the paper's tables."""
        return None

    def training_images(self, seed: int) -> Iterator[Tensor]:
        """At most ``BATCHNORM_IMAGES`` whole training images, float32 [b, 3, H, W], in batches of one size."""
        config = self._config
        chosen = permutation(seed, 0, len(self._train))[:BATCHNORM_IMAGES].tolist()
        images = [item.pixels for item in whole_images(self._train, config.workers, chosen)]
        for batch in same_size_batches([image.shape for image in images], 8, range(len(images))):
            yield normalise_bytes(torch.stack([images[index] for index in batch]))

    def figures(self, backbone: Backbone, seed: int) -> dict[str, float]:
        """mIoU and pixel accuracy on the validation images, in percent."""
        head = fit_head(backbone, self._train, self._config, seed)
        return score_head(backbone, head, self._val, self._config.workers)

    def majority_figures(self) -> dict[str, float]:
        """mIoU and pixel accuracy, in percent, of predicting the commonest training class everywhere."""
        return majority_figures(self._train_pixels, self._val_pixels)


def fit_head(backbone: Backbone, train: MaskedImages, config: SegmentationConfig, seed: int) -> LinearHead:
    """Trains a head on the backbone's maps by the protocol of ``config``; returns it in eval mode on that device."""
    if config.protocol == "cached":
        maps = CachedMaps(backbone, train, config.workers)
        batches: Iterator[Batch] = maps.batches(config.batch_size, config.iterations, seed)
    else:
        augmentation = SegmentationAugmentation(config.crop, train.labels.ignored, seed)
        batches = augmented_batches(backbone, train, augmentation, config.batch_size, config.iterations, config.workers)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        head = LinearHead(backbone.channels, train.labels.classes)
        head.to(next(backbone.parameters()).device)
        train_head(head, batches, config.iterations, config.lr, train.labels.ignored)
    return head


@torch.inference_mode()
def score_head(backbone: Backbone, head: LinearHead, val: MaskedImages, workers: int) -> dict[str, float]:
    """Segments every image whole, at the size of its mask; returns mIoU and pixel accuracy in percent."""
    score = SegmentationScore(val.labels)
    for item in progress_bar(whole_images(val, workers), desc="segmentation", total=len(val), leave=False):
        mask = item.mask[None]
        score.update(resize_logits(head(map_of(backbone, item)), mask).argmax(1), mask)
    return score.figures()
