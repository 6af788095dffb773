"""What all judges by segmentation share: the images, what is known without a backbone, and the score of heads."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from dataprep.errors import UserError
from dataprep.progress import progress_bar
from vicregl_fast.augment.normalisation import normalise_bytes
from vicregl_fast.evaluation.segmentation.config import Sides
from vicregl_fast.evaluation.segmentation.features import SegmentationFeatures
from vicregl_fast.evaluation.segmentation.inference import CellClassifier, segment
from vicregl_fast.evaluation.segmentation.linear_head import resize_logits
from vicregl_fast.evaluation.segmentation.map_batches import same_size_batches, whole_images
from vicregl_fast.evaluation.segmentation.masked_images import MaskedImages, read_all
from vicregl_fast.evaluation.segmentation.score import SegmentationScore, iou_name, majority_figures
from vicregl_fast.philox import permutation

BATCHNORM_IMAGES = 64
"""Number of training images, at most, on which an untrained network's BatchNorm statistics are re-estimated."""


class PixelJudge:
    """Training and validation images with masks, whose pixels of each class are counted.

    Args:
        train, val: the images. All are read once, so that a bad one is reported before any work.
        workers: processes that decode.
        base_size: long and short side within which images are resized; None takes them as they are.

    Raises:
        UserError: an image or mask is bad, or fewer than two classes occur in the masks of one side.
    """

    def __init__(self, train: MaskedImages, val: MaskedImages, workers: int, base_size: Sides | None = None):
        self._train, self._val, self._workers, self._base_size = train, val, workers, base_size
        self._train_read, self._val_read = (read_all(data, workers) for data in (train, val))

    @property
    def details(self) -> list[str]:
        """The IoU of each class, by number."""
        return [iou_name(self._val.labels, number) for number in range(self._val.labels.classes)]

    def training_images(self, seed: int) -> Iterator[Tensor]:
        """At most ``BATCHNORM_IMAGES`` whole training images, float32 [b, 3, H, W], in batches of one size."""
        chosen = permutation(seed, 0, len(self._train))[:BATCHNORM_IMAGES].tolist()
        images = [item.pixels for item in whole_images(self._train, self._workers, chosen, self._base_size)]
        for batch in same_size_batches([image.shape for image in images], 8, range(len(images))):
            yield normalise_bytes(torch.stack([images[index] for index in batch]))

    def majority_figures(self) -> dict[str, float]:
        """The figures of predicting the commonest training class everywhere."""
        return majority_figures(self._train_read.pixels, self._val_read.pixels, self._val.labels)

    @torch.no_grad()
    def _try_smallest(self, features: SegmentationFeatures, train: bool, window: Sides | None = None) -> None:
        """Computes the maps of the smallest images as they will be seen.

        Args:
            features: computes them.
            train: whether training images will be seen whole, too.
            window: through which validation images will be seen; None sees them whole.

        Raises:
            UserError: the backbone does not take one of them, which is named.
        """
        sides = [(self._train, self._train_read, None)] * train + [(self._val, self._val_read, window)]
        for data, read, seen in sides:
            for index in dict.fromkeys(read.smallest):
                (item,) = whole_images(data, 0, [index], self._base_size)
                height, width = seen or item.pixels.shape[1:]
                try:
                    features(item.pixels[None, :, :height, :width])
                except UserError as error:
                    raise UserError(f"{data.name(index)} cannot be used: {error}") from error


@torch.inference_mode()
def score_heads(
    features: SegmentationFeatures,
    heads: Sequence[CellClassifier],
    data: MaskedImages,
    chosen: Sequence[int],
    workers: int,
    base_size: Sides | None = None,
    window: Sides | None = None,
    stride: int = 1,
) -> list[SegmentationScore]:
    """Segments images, at the size of their masks, with each head; returns the heads' scores.

    Args:
        features: maps of images.
        heads: classify their cells.
        data: images with masks.
        chosen: which of them.
        workers: processes that decode.
        base_size: long and short side within which images are resized; None takes them as they are.
        window, stride: of the sliding window (``segment``).
    """
    scores = [SegmentationScore(data.labels) for _ in heads]
    images = whole_images(data, workers, chosen, base_size)
    for item in progress_bar(images, desc="segmentation", total=len(chosen), leave=False):
        for score, logits in zip(scores, segment(features, heads, item.pixels, window, stride), strict=True):
            if logits.shape[2:] != item.mask.shape:
                logits = resize_logits(logits, item.mask.shape)  # type: ignore[arg-type]
            score.update(logits.argmax(1), item.mask[None])
    return scores
