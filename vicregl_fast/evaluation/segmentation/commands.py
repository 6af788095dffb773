"""The commands ``evaluate linear-seg`` and ``evaluate knn-seg``."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from vicregl_fast.evaluation.command import Command, add_comparison
from vicregl_fast.evaluation.segmentation.config import MASK_ORIENTATIONS, Labels, SegmentationConfig, ignore_index_of
from vicregl_fast.evaluation.segmentation.nearest_patches.config import NearestPatchesConfig

if TYPE_CHECKING:
    from vicregl_fast.evaluation.segmentation.masks import MaskedImages


def add_masked_images(parser: ArgumentParser) -> None:
    """Adds the options that name images with masks, and say what the masks mean."""
    for side in ("train", "val"):
        parser.add_argument(f"--{side}_images", type=Path, required=True, help="folder of images")
        parser.add_argument(f"--{side}_masks", type=Path, required=True, help="folder of masks with the same names")
    parser.add_argument("--classes", type=int, required=True, help="mask values 0 to CLASSES - 1 are classes")
    parser.add_argument("--ignore_index", metavar="VALUE|none", help="mask value of pixels that are left out (255)")
    parser.add_argument("--foreground", type=int, metavar="VALUE", help="mask value that is class 1, such as 255")
    parser.add_argument(
        "--mask_orientation",
        choices=MASK_ORIENTATIONS,
        default="ask",
        help="masks of images that EXIF turns lie as the stored pixels do, or upright; ask where it is unclear (ask)",
    )


def _add_arguments(parser: ArgumentParser) -> None:
    add_masked_images(parser)
    parser.add_argument("--output_stride", type=int, help="pixels per cell, by dilation (default: as trained)")
    add_comparison(parser)


def open_masked_images(options: Namespace) -> "tuple[MaskedImages, MaskedImages]":
    """Opens the training and the validation images that the options of ``add_masked_images`` name.

    Raises:
        UserError: an option is wrong, or a folder is missing or has no images, or an image has no mask.
    """
    from vicregl_fast.evaluation.segmentation.masks import MaskedImages

    ignore_index = ignore_index_of(options.ignore_index, options.foreground)
    labels = Labels(options.classes, ignore_index, options.foreground)
    train = MaskedImages(options.train_images, options.train_masks, labels, options.mask_orientation)
    return train, MaskedImages(options.val_images, options.val_masks, labels, options.mask_orientation)


def _linear_seg(options: Namespace, config: SegmentationConfig) -> None:
    from vicregl_fast.evaluation.comparison import run_judge
    from vicregl_fast.evaluation.segmentation.linear_segmentation import SegmentationJudge

    run_judge(options, lambda: SegmentationJudge(*open_masked_images(options), config))


def _knn_seg(options: Namespace, config: NearestPatchesConfig) -> None:
    from vicregl_fast.evaluation.comparison import run_judge
    from vicregl_fast.evaluation.segmentation.nearest_patches.judge import NearestPatchesJudge

    run_judge(options, lambda: NearestPatchesJudge(*open_masked_images(options), config))


COMMANDS = {
    "linear-seg": Command(
        "linear segmentation of frozen feature maps", SegmentationConfig, _add_arguments, _linear_seg
    ),
    "knn-seg": Command(
        "segmentation by the nearest cells of training images, without training",
        NearestPatchesConfig,
        _add_arguments,
        _knn_seg,
    ),
}
