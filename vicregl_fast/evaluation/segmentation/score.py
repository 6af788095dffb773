"""How well predicted masks agree with the true ones, over a whole data set."""

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassJaccardIndex

from vicregl_fast.evaluation.report import DETAIL
from vicregl_fast.evaluation.segmentation.labels import IGNORED, Labels


class SegmentationScore:
    """mIoU, pixel accuracy, and the IoU of each class, from one confusion matrix over all pixels that are not ignored.

    A class that is neither predicted nor true anywhere has no IoU and is left out of the mean (torchmetrics' macro
    average gives it weight 0). A class that is only predicted, or only true, counts as 0. mmsegmentation does the same.
    """

    def __init__(self, labels: Labels):
        # masks.open_mask has checked the labels, and validating them again would take longer than counting.
        self._jaccard = MulticlassJaccardIndex(
            labels.classes, average="macro", ignore_index=IGNORED, validate_args=False
        )
        self._labels = labels

    def update(self, predictions: Tensor, masks: Tensor) -> None:
        """Adds predicted classes and true ones to the confusion matrix; both are int64 of the same shape."""
        self._jaccard.update(predictions.cpu(), masks.cpu())

    def figures(self) -> dict[str, float]:
        """mIoU, pixel accuracy and, as details, the IoU of each class that was predicted or true; in percent."""
        confusion: Tensor = self._jaccard.confmat
        accuracy = confusion.diag().sum() / confusion.sum()
        figures = {"mIoU": 100 * self._jaccard.compute().item(), "pixel accuracy": 100 * accuracy.item()}
        return figures | _by_class(self._labels, confusion.diag(), confusion.sum(0) + confusion.sum(1))


def majority_figures(pixels_train: Tensor, pixels_test: Tensor, labels: Labels) -> dict[str, float]:
    """The same figures of predicting the commonest training class everywhere.

    The IoU of that class is its share of the test pixels; every other class in the test set has IoU 0.

    Args:
        pixels_train, pixels_test: number of pixels of each class, int64 [classes].
        labels: names the classes.
    """
    commonest = pixels_train.argmax()
    right = torch.zeros_like(pixels_test)
    right[commonest] = pixels_test[commonest]
    predicted = torch.zeros_like(pixels_test)
    predicted[commonest] = pixels_test.sum()
    by_class = _by_class(labels, right, pixels_test + predicted)
    accuracy = (right.sum() / pixels_test.sum()).item()
    return {"mIoU": sum(by_class.values()) / len(by_class), "pixel accuracy": 100 * accuracy} | by_class


def iou_name(labels: Labels, number: int) -> str:
    """The name of the detail that is a class's IoU."""
    return f"IoU{DETAIL}{labels.name(number)}"


def _by_class(labels: Labels, right: Tensor, predicted_and_true: Tensor) -> dict[str, float]:
    """The IoU of each class, in percent: of pixels right, over those predicted or true."""
    union = predicted_and_true - right
    return {
        iou_name(labels, number): 100 * (right[number] / union[number]).item()
        for number in union.nonzero()[:, 0].tolist()
    }
