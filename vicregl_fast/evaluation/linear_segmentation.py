"""Linear segmentation of frozen features: the paper's measure of local quality (method, section 6)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from dataprep.errors import UserError
from vicregl_fast.augment.normalisation import normalise_bytes
from vicregl_fast.evaluation.batchnorm import reestimate_batchnorm
from vicregl_fast.evaluation.candidates import Candidate
from vicregl_fast.evaluation.feature_batches import (
    Batch,
    CachedMaps,
    augmented_batches,
    map_of,
    same_size_batches,
    whole_images,
)
from vicregl_fast.evaluation.linear_head import LinearHead, resize_logits, train_head
from vicregl_fast.evaluation.loading import default_workers
from vicregl_fast.evaluation.masks import MaskedImages, class_pixels
from vicregl_fast.evaluation.options import check_at_least, option
from vicregl_fast.evaluation.report import Row
from vicregl_fast.evaluation.segmentation_augment import SegmentationAugmentation
from vicregl_fast.evaluation.segmentation_score import SegmentationScore, majority_figures
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.philox import permutation
from vicregl_fast.seeds import check_seed

BATCHNORM_IMAGES = 64
"""Whole training images on which an untrained network's BatchNorm statistics are re-estimated."""


@dataclass(frozen=True)
class SegmentationConfig:
    """How the head is trained; every image is then segmented whole.

    The protocol ``cached`` is quick: each training image goes through the backbone once, whole and
    undistorted, and the head learns from the maps in memory. ``augmented`` is the published protocol in
    kind: every iteration sees random scales, crops, flips and colours, through the backbone.
    """

    protocol: str = option(
        "cached", "quick on maps kept in memory, or slow with augmentation", choices=("cached", "augmented")
    )
    iterations: int = option(300, "steps of the head")
    batch_size: int = option(16, "images a step")
    lr: float = option(0.1, "learning rate at the start; the published 0.01 wants 40,000 steps")
    crop: int = option(256, "pixels of a side of the crops of the augmented protocol")
    seed: int = option(0, "of order, crops, head, dropout and the untrained network")
    workers: int = option(default_workers(), "processes that decode images")

    def __post_init__(self) -> None:
        check_at_least("--iterations", self.iterations, 1)
        check_at_least("--batch-size", self.batch_size, 1)
        check_at_least("--crop", self.crop, 1)
        check_at_least("--workers", self.workers, 0)
        check_seed(self.seed)
        if not self.lr > 0:
            raise UserError(f"--lr is {self.lr}, but must be above 0")


def evaluate_segmentation(
    candidates: Iterable[Candidate], train: MaskedImages, val: MaskedImages, config: SegmentationConfig
) -> list[Row]:
    """mIoU and pixel accuracy for each candidate, and for predicting the commonest training class everywhere.

    Raises:
        UserError: an image or mask is bad; all are read before the work begins.
    """
    train_pixels, val_pixels = (class_pixels(data, config.workers) for data in (train, val))
    rows = []
    for candidate in candidates:
        if not candidate.trained:
            reestimate_batchnorm(candidate.backbone, _sample(train, config))
        head = fit_head(candidate.backbone, train, config)
        rows.append(Row(candidate.name, score_head(candidate.backbone, head, val, config.workers)))
    return [*rows, Row("majority class", majority_figures(train_pixels, val_pixels))]


def fit_head(backbone: Backbone, train: MaskedImages, config: SegmentationConfig) -> LinearHead:
    """A head trained on ``backbone`` by the protocol of ``config``; in eval mode, on the same device."""
    if config.protocol == "cached":
        maps = CachedMaps(backbone, train, config.workers)
        batches: Iterator[Batch] = maps.batches(config.batch_size, config.iterations, config.seed)
    else:
        augmentation = SegmentationAugmentation(config.crop, train.labels.ignore_index, config.seed)
        batches = augmented_batches(backbone, train, augmentation, config.batch_size, config.iterations, config.workers)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        head = LinearHead(backbone.channels, train.labels.classes)
        head.to(next(backbone.parameters()).device)
        train_head(head, batches, config.iterations, config.lr, train.labels.ignore_index)
    return head


@torch.inference_mode()
def score_head(backbone: Backbone, head: LinearHead, val: MaskedImages, workers: int) -> dict[str, float]:
    """Segments every image whole, at the size of its mask."""
    score = SegmentationScore(val.labels)
    for item in tqdm(whole_images(val, workers), "segmentation", len(val), leave=False):
        mask = item.mask[None]
        score.update(resize_logits(head(map_of(backbone, item)), mask).argmax(1), mask)
    return score.figures()


def _sample(data: MaskedImages, config: SegmentationConfig) -> Iterator[Tensor]:
    """Batches of whole images, each of one size."""
    chosen = permutation(config.seed, 0, len(data))[:BATCHNORM_IMAGES].tolist()
    images = [item.pixels for item in whole_images(data, config.workers, chosen)]
    for batch in same_size_batches([image.shape for image in images], 8, range(len(images))):
        yield normalise_bytes(torch.stack([images[index] for index in batch]))
