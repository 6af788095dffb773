"""Pascal VOC 2012 with the further masks of Hariharan et al. (2011): "VOC12aug", 10,582 training images.

Its folder has ``JPEGImages``, ``SegmentationClass`` (masks with a palette, borders 255), ``SegmentationClassAug`` and
``ImageSets/Segmentation``. As in mmsegmentation, the training images are those of ``train.txt`` with masks of
``SegmentationClass`` and those of ``aug.txt`` with masks of ``SegmentationClassAug``; where there is no ``aug.txt``,
those of ``trainaug.txt`` or ``train_aug.txt``, all with masks of ``SegmentationClassAug``.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from dataprep.errors import UserError
from dataprep.image_lists import list_lines, refuse_repetition
from vicregl_fast.evaluation.segmentation.datasets.dataset import SegmentationDataset, folder_with
from vicregl_fast.evaluation.segmentation.labels import Labels
from vicregl_fast.evaluation.segmentation.pairs import Pairs, check_files

CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
LABELS = Labels(len(CLASSES), names=CLASSES)
_IMAGES, _MASKS, _FURTHER_MASKS = "JPEGImages", "SegmentationClass", "SegmentationClassAug"
_WHOLE_LISTS = ("trainaug.txt", "train_aug.txt")


def open_voc(root: Path) -> SegmentationDataset:
    """Finds the images and masks below ``root``: the folder described above, ``VOCdevkit``, or what holds that.

    Raises:
        UserError: a folder, list or file is missing, or an image is for training and validation.
    """
    folder = folder_with(root, ("VOC2012", "VOCdevkit/VOC2012"), _IMAGES, "Pascal VOC 2012")
    val = _names(folder, "val.txt")
    train = _training(folder)
    shared = sorted(set(val) & {name for name, _ in train})
    if shared:
        raise UserError(
            f"{len(shared)} images of {folder / 'ImageSets/Segmentation/val.txt'} are in the lists of training images, "
            f"too, the first being {shared[0]}: take them out of those"
        )
    return SegmentationDataset(_pairs(folder, train), _pairs(folder, [(name, _MASKS) for name in val]), LABELS)


def _training(folder: Path) -> list[tuple[str, str]]:
    """The names of training images, each with the folder of its mask."""
    lists = folder / "ImageSets" / "Segmentation"
    if (lists / "aug.txt").is_file():
        train = dict.fromkeys(_names(folder, "train.txt"), _MASKS)
        further = dict.fromkeys(_names(folder, "aug.txt"), _FURTHER_MASKS)
        return list((further | train).items())
    for name in _WHOLE_LISTS:
        if (lists / name).is_file():
            return [(each, _FURTHER_MASKS) for each in _names(folder, name)]
    raise UserError(
        f"VOC12aug needs a list of its further training images: there is neither {lists / 'aug.txt'} nor "
        f"{' nor '.join(_WHOLE_LISTS)} beside it"
    )


def _names(folder: Path, name: str) -> list[str]:
    """The names of images in a list; of lines with the paths of an image and its mask, the image's."""
    listed = folder / "ImageSets" / "Segmentation" / name
    names = [PurePosixPath(line.split()[0]).stem for line in list_lines(listed)]
    refuse_repetition(names, listed)
    return names


def _pairs(folder: Path, named: Sequence[tuple[str, str]]) -> Pairs:
    images = [f"{name}.jpg" for name, _ in named]
    masks = [folder / inside / f"{name}.png" for name, inside in named]
    check_files([folder / _IMAGES / image for image in images], "images of VOC12aug")
    check_files(masks, "masks of VOC12aug")
    return Pairs(folder / _IMAGES, tuple(images), tuple(masks), str(folder))
