"""Cityscapes: 2,975 training and 500 validation images with fine masks, 19 of its classes.

``leftImg8bit/{train,val}/CITY/*_leftImg8bit.png`` are the images, ``gtFine/{train,val}/CITY/*_gtFine_labelIds.png`` the
masks; where only ``*_gtFine_labelTrainIds.png`` are there, which hold the numbers of the 19 classes, those.
"""

from pathlib import Path

from dataprep.errors import UserError
from vicregl_fast.evaluation.segmentation.datasets.dataset import SegmentationDataset, folder_with
from vicregl_fast.evaluation.segmentation.labels import IGNORED, Labels
from vicregl_fast.evaluation.segmentation.pairs import Pairs, check_files

CLASSES = {
    "road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17, "traffic light": 19,
    "traffic sign": 20, "vegetation": 21, "terrain": 22, "sky": 23, "person": 24, "rider": 25, "car": 26, "truck": 27,
    "bus": 28, "train": 31, "motorcycle": 32, "bicycle": 33,
}  # fmt: skip
"""The 19 classes in their order, with their values in ``labelIds``."""
_OTHER_IDS = (*range(7), 9, 10, 14, 15, 16, 18, 29, 30)  # of parts of the image that are not judged; 255 is -1
_TABLE = dict.fromkeys(_OTHER_IDS, IGNORED) | {value: number for number, value in enumerate(CLASSES.values())}
LABEL_IDS = Labels(len(CLASSES), table=_TABLE, names=tuple(CLASSES))
TRAIN_IDS = Labels(len(CLASSES), names=tuple(CLASSES))
_IMAGES, _MASKS, _IMAGE_ENDING = "leftImg8bit", "gtFine", "_leftImg8bit.png"
_KINDS = {"_gtFine_labelIds.png": LABEL_IDS, "_gtFine_labelTrainIds.png": TRAIN_IDS}


def open_cityscapes(root: Path) -> SegmentationDataset:
    """Finds the images and masks below ``root``: the folder that has ``leftImg8bit``, or what holds it.

    Raises:
        UserError: a folder or file is missing.
    """
    folder = folder_with(root, ("cityscapes",), _IMAGES, "Cityscapes")
    images = {side: _images(folder, side) for side in ("train", "val")}
    masks = {
        kind: {side: [_mask(folder, side, image, kind) for image in images[side]] for side in images} for kind in _KINDS
    }
    complete = (kind for kind, of in masks.items() if all(mask.is_file() for side in of.values() for mask in side))
    kind = next(complete, next(iter(_KINDS)))
    check_files([mask for side in masks[kind].values() for mask in side], "masks of Cityscapes")
    train, val = (
        Pairs(folder / _IMAGES / side, tuple(images[side]), tuple(masks[kind][side]), str(folder / _MASKS / side))
        for side in images
    )
    return SegmentationDataset(train, val, _KINDS[kind])


def _images(folder: Path, side: str) -> list[str]:
    """The images of a side, as paths relative to its folder."""
    inside = folder / _IMAGES / side
    found = sorted(path.relative_to(inside).as_posix() for path in inside.glob(f"*/*{_IMAGE_ENDING}"))
    if not found:
        raise UserError(f"Cityscapes has no images there: looked for {inside}/CITY/*{_IMAGE_ENDING}")
    return found


def _mask(folder: Path, side: str, image: str, ending: str) -> Path:
    return folder / _MASKS / side / (image.removesuffix(_IMAGE_ENDING) + ending)
