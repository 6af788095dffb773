"""Opens a data set by its name."""

from collections.abc import Callable
from pathlib import Path

from vicregl_fast.evaluation.segmentation.config import DatasetName
from vicregl_fast.evaluation.segmentation.datasets.ade20k import open_ade20k
from vicregl_fast.evaluation.segmentation.datasets.cityscapes import open_cityscapes
from vicregl_fast.evaluation.segmentation.datasets.dataset import SegmentationDataset
from vicregl_fast.evaluation.segmentation.datasets.voc import open_voc

_OPENERS: dict[DatasetName, Callable[[Path], SegmentationDataset]] = {
    "voc12aug": open_voc,
    "cityscapes": open_cityscapes,
    "ade20k": open_ade20k,
}


def open_dataset(name: DatasetName, root: Path) -> SegmentationDataset:
    """Finds the images and masks of a data set below ``root``.

    Raises:
        UserError: something of it is missing; the message says which file or folder was looked for.
    """
    return _OPENERS[name](root)
