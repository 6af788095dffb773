"""The commands ``evaluate linear-seg`` and ``evaluate knn-seg``."""

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.evaluation.command import Command, add_comparison, add_output_stride
from vicregl_fast.evaluation.segmentation.config import DATASETS, MASK_ORIENTATIONS, SegmentationConfig
from vicregl_fast.evaluation.segmentation.labels import Labels, ignore_index_of, read_label_map
from vicregl_fast.evaluation.segmentation.nearest_patches.config import NearestPatchesConfig
from vicregl_fast.evaluation.segmentation.protocol import name_of, output_stride_of

if TYPE_CHECKING:
    from vicregl_fast.evaluation.segmentation.datasets.dataset import SegmentationDataset
    from vicregl_fast.evaluation.segmentation.masked_images import MaskedImages

_OF_FOLDERS = (
    "train_images", "train_masks", "val_images", "val_masks", "train_list", "val_list", "image_suffix", "mask_suffix",
    "classes", "ignore_index", "foreground", "zero_ignored", "label_map",
)  # fmt: skip
"""Options that say what a named data set knows itself."""


def add_masked_images(parser: ArgumentParser) -> None:
    """Adds the options that name images with masks, and say what the masks mean."""
    parser.add_argument("--dataset", choices=DATASETS, help="a public data set in its own folders, below --root")
    parser.add_argument("--root", type=Path, help="where it lies")
    for side in ("train", "val"):
        parser.add_argument(f"--{side}_images", type=Path, help="any other data set: folder of images")
        parser.add_argument(f"--{side}_masks", type=Path, help="folder of masks with the same names")
        parser.add_argument(f"--{side}_list", type=Path, help="which images, a path or name a line (default: all)")
    parser.add_argument("--image_suffix", default="", help="what ends their names, such as _leftImg8bit (nothing)")
    parser.add_argument("--mask_suffix", default="", help="what ends the masks' names, in its place (nothing)")
    parser.add_argument("--classes", type=int, help="mask values 0 to CLASSES - 1 are classes")
    parser.add_argument(
        "--ignore_index",
        metavar="VALUE|none",
        help="mask value of pixels that are left out (255, unless it is a class)",
    )
    parser.add_argument("--foreground", type=int, metavar="VALUE", help="mask value that is class 1, such as 255")
    parser.add_argument(
        "--zero_ignored", action="store_true", help="0 is left out, and mask values 1 to CLASSES are the classes"
    )
    parser.add_argument(
        "--label_map",
        type=Path,
        help="file that gives mask values their classes: lines `7 0`, `255 ignore`, `others ignore`",
    )
    parser.add_argument(
        "--mask_orientation",
        choices=MASK_ORIENTATIONS,
        default="ask",
        help="masks of images that EXIF turns lie as the stored pixels do, or upright; ask where it is unclear (ask)",
    )


def open_masked_images(options: Namespace) -> "tuple[MaskedImages, MaskedImages]":
    """Opens the training and the validation images that the options of ``add_masked_images`` name.

    Raises:
        UserError: an option is wrong, or a folder is missing or has no images, or an image has no mask.
    """
    from vicregl_fast.evaluation.segmentation.masked_images import MaskedImages

    data = _named(options) if options.dataset else _folders(options)
    train = MaskedImages(data.train, data.labels, options.mask_orientation)
    return train, MaskedImages(data.val, data.labels, options.mask_orientation, train)


def _add_judge(parser: ArgumentParser, output_stride: str = "as trained") -> None:
    add_masked_images(parser)
    add_output_stride(parser, output_stride)
    parser.add_argument("--per_class", action="store_true", help="print the IoU of each class, too")
    add_comparison(parser)


def _add_linear_seg(parser: ArgumentParser) -> None:
    _add_judge(parser, "as trained; published for a ResNet 8")
    parser.add_argument("--finetune", action="store_true", help="train the backbone, too")


def _add_knn_seg(parser: ArgumentParser) -> None:
    _add_judge(parser)


def _linear_seg(options: Namespace, config: SegmentationConfig) -> None:
    from vicregl_fast.evaluation.comparison import run_judge
    from vicregl_fast.evaluation.segmentation.linear_segmentation import SegmentationJudge

    def judge() -> SegmentationJudge:
        return SegmentationJudge(
            *open_masked_images(options), config, options.dataset, options.finetune, options.output_stride
        )

    options.protocol = name_of(config, options.dataset)  # for the file, which the default depends on
    published = partial(output_stride_of, config, dataset=options.dataset)
    run_judge(options, judge, published if options.output_stride is None else lambda _: options.output_stride)


def _knn_seg(options: Namespace, config: NearestPatchesConfig) -> None:
    from vicregl_fast.evaluation.comparison import run_judge
    from vicregl_fast.evaluation.segmentation.nearest_patches.judge import NearestPatchesJudge

    def judge() -> NearestPatchesJudge:
        return NearestPatchesJudge(*open_masked_images(options), config)

    run_judge(options, judge, lambda _: options.output_stride)


def _named(options: Namespace) -> "SegmentationDataset":
    """The data set of ``--dataset``."""
    from vicregl_fast.evaluation.segmentation.datasets.choice import open_dataset

    if options.root is None:
        raise UserError(f"--dataset {options.dataset} wants --root, the folder where it lies")
    given = [f"--{name}" for name in _OF_FOLDERS if getattr(options, name) not in (None, "", False)]
    if given:
        raise UserError(f"--dataset {options.dataset} knows its folders and labels: leave {', '.join(given)} out")
    return open_dataset(options.dataset, options.root)


def _folders(options: Namespace) -> "SegmentationDataset":
    """The folders of images and masks that were given."""
    from vicregl_fast.evaluation.segmentation.datasets.dataset import SegmentationDataset
    from vicregl_fast.evaluation.segmentation.folders import folder_pairs

    if options.root is not None:
        raise UserError("--root goes with --dataset: name the data set, or leave it out")
    missing = [f"--{name}" for name in _OF_FOLDERS[:4] if getattr(options, name) is None]
    if missing:
        raise UserError(f"{', '.join(missing)} is missing: give the four folders, or --dataset and --root")
    labels = _labels(options)
    train, val = (
        folder_pairs(
            getattr(options, f"{side}_images"),
            getattr(options, f"{side}_masks"),
            getattr(options, f"{side}_list"),
            options.image_suffix,
            options.mask_suffix,
        )
        for side in ("train", "val")
    )
    if train.root.resolve() == val.root.resolve() and (shared := set(train.images) & set(val.images)):
        note(f"{len(shared)} of the {len(val)} validation images are training images, too")
    return SegmentationDataset(train, val, labels)


def _labels(options: Namespace) -> Labels:
    """What the values of masks mean, as the options say."""
    named = _labels_of_classes(options)
    return replace(named, ignore_index=ignore_index_of(options.ignore_index, named))


def _labels_of_classes(options: Namespace) -> Labels:
    """The same without the value that ``--ignore_index`` says."""
    if options.label_map is not None:
        table, others_ignored = read_label_map(options.label_map)
        classes = max(table.values()) + 1
        if unused := [str(number) for number in range(classes) if number not in table.values()]:
            note(f"{options.label_map} names {classes} classes, but gives no value to {', '.join(unused)}")
        if options.classes not in (None, classes):
            raise UserError(
                f"{options.label_map} has {classes} classes, and --classes is {options.classes}: leave it out"
            )
        return Labels(classes, None, options.foreground, options.zero_ignored, table, others_ignored)
    if options.classes is None:
        raise UserError("--classes is missing: say how many classes the masks have, or give a --label_map")
    return Labels(options.classes, None, options.foreground, options.zero_ignored)


COMMANDS = {
    "linear-seg": Command("linear segmentation of feature maps", SegmentationConfig, _add_linear_seg, _linear_seg),
    "knn-seg": Command(
        "segmentation by the nearest cells of training images, without training",
        NearestPatchesConfig,
        _add_knn_seg,
        _knn_seg,
    ),
}
