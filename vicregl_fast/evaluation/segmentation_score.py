"""How well predicted masks agree with the true ones, over a whole set."""

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassJaccardIndex

from vicregl_fast.evaluation.masks import Labels


class SegmentationScore:
    """mIoU and pixel accuracy from one confusion matrix over all pixels that are not ignored.

    A class that is neither predicted nor true anywhere has no IoU and is left out of the mean
    (torchmetrics' macro average gives it weight 0); a class that is only predicted, or only true, counts as
    0. So does mmsegmentation.
    """

    def __init__(self, labels: Labels):
        # masks.open_mask has checked the labels, and validating them again would take longer than counting.
        self._jaccard = MulticlassJaccardIndex(
            labels.classes, average="macro", ignore_index=labels.ignore_index, validate_args=False
        )

    def update(self, predictions: Tensor, masks: Tensor) -> None:
        """Counts predicted classes against true ones, int64 of the same shape."""
        self._jaccard.update(predictions.cpu(), masks.cpu())

    def figures(self) -> dict[str, float]:
        """Both figures in percent."""
        confusion: Tensor = self._jaccard.confmat
        accuracy = confusion.diag().sum() / confusion.sum()
        return {"mIoU": 100 * self._jaccard.compute().item(), "pixel accuracy": 100 * accuracy.item()}


def majority_figures(pixels_train: Tensor, pixels_test: Tensor, labels: Labels) -> dict[str, float]:
    """The figures of predicting the commonest training class everywhere, from pixels per class int64
    [classes]."""
    score = SegmentationScore(labels)
    masks = torch.arange(labels.classes).repeat_interleave(pixels_test)
    score.update(torch.full_like(masks, int(pixels_train.argmax())), masks)
    return score.figures()
