"""How well predicted masks agree with the true ones, over a whole data set."""

from torch import Tensor
from torchmetrics.classification import MulticlassJaccardIndex

from vicregl_fast.evaluation.segmentation.config import Labels


class SegmentationScore:
    """mIoU and pixel accuracy from one confusion matrix over all pixels that are not ignored.

    A class that is neither predicted nor true anywhere has no IoU and is left out of the mean (torchmetrics' macro
    average gives it weight 0). A class that is only predicted, or only true, counts as 0. mmsegmentation does the same.
    """

    def __init__(self, labels: Labels):
        # masks.open_mask has checked the labels, and validating them again would take longer than counting.
        self._jaccard = MulticlassJaccardIndex(
            labels.classes, average="macro", ignore_index=labels.ignored, validate_args=False
        )

    def update(self, predictions: Tensor, masks: Tensor) -> None:
        """Adds predicted classes and true ones to the confusion matrix; both are int64 of the same shape."""
        self._jaccard.update(predictions.cpu(), masks.cpu())

    def figures(self) -> dict[str, float]:
        """mIoU and pixel accuracy in percent."""
        confusion: Tensor = self._jaccard.confmat
        accuracy = confusion.diag().sum() / confusion.sum()
        return {"mIoU": 100 * self._jaccard.compute().item(), "pixel accuracy": 100 * accuracy.item()}


def majority_figures(pixels_train: Tensor, pixels_test: Tensor) -> dict[str, float]:
    """mIoU and pixel accuracy, in percent, of predicting the commonest training class everywhere.

    The IoU of that class is its share of the test pixels; every other class in the test set has IoU 0.

    Args:
        pixels_train, pixels_test: number of pixels of each class, int64 [classes].
    """
    commonest = pixels_train.argmax()
    share = (pixels_test[commonest] / pixels_test.sum()).item()
    others = pixels_test.count_nonzero().item() - int(pixels_test[commonest] > 0)
    return {"mIoU": 100 * share / (1 + others), "pixel accuracy": 100 * share}
