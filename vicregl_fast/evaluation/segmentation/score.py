"""How well predicted masks agree with the true ones, over a whole set."""

from torch import Tensor
from torchmetrics.classification import MulticlassJaccardIndex

from vicregl_fast.evaluation.segmentation.config import Labels


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


def majority_figures(pixels_train: Tensor, pixels_test: Tensor) -> dict[str, float]:
    """The figures of predicting the commonest training class everywhere, from pixels of each class [classes].

    Its IoU is its share of the pixels; every other class that occurs counts as 0.
    """
    commonest = pixels_train.argmax()
    share = (pixels_test[commonest] / pixels_test.sum()).item()
    others = pixels_test.count_nonzero().item() - int(pixels_test[commonest] > 0)
    return {"mIoU": 100 * share / (1 + others), "pixel accuracy": 100 * share}
