"""Evaluates a backbone: ``python -m vicregl_fast.evaluate knn ...``, ``... linear ...`` or ``... linear-seg ...``."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dataprep.command_line import SentenceParser, output_file
from dataprep.errors import exit_on_user_error
from vicregl_fast.evaluation.classification.config import KnnConfig, LinearConfig
from vicregl_fast.evaluation.options import add_options, from_options
from vicregl_fast.evaluation.segmentation.config import MASK_ORIENTATIONS, Labels, SegmentationConfig, ignore_index_of

if TYPE_CHECKING:
    from vicregl_fast.evaluation.comparison import Judge


def knn(options: argparse.Namespace, config: KnnConfig) -> "Judge":
    """Opens the images that the options name, and returns a judge by k-NN classification."""
    from vicregl_fast.data.open_images import open_images
    from vicregl_fast.evaluation.classification.knn import KnnJudge

    train = open_images(options.train, options.train_list, options.train_labels)
    test = open_images(options.test, options.test_list, options.test_labels)
    return KnnJudge(train, test, config)


def linear(options: argparse.Namespace, config: LinearConfig) -> "Judge":
    """Opens the images that the options name, and returns a judge by linear classification."""
    from vicregl_fast.evaluation.classification.crop_feed import open_labelled
    from vicregl_fast.evaluation.classification.linear import LinearJudge

    train = open_labelled(options.train, options.train_list, options.train_labels)
    test = open_labelled(options.test, options.test_list, options.test_labels)
    return LinearJudge(train, test, config)


def linear_seg(options: argparse.Namespace, config: SegmentationConfig) -> "Judge":
    """Opens the images and masks that the options name, and returns a judge by linear segmentation."""
    from vicregl_fast.evaluation.segmentation.linear_segmentation import SegmentationJudge
    from vicregl_fast.evaluation.segmentation.masks import MaskedImages

    ignore_index = ignore_index_of(options.ignore_index, options.foreground)
    labels = Labels(options.classes, ignore_index, options.foreground)
    train = MaskedImages(options.train_images, options.train_masks, labels, options.mask_orientation)
    val = MaskedImages(options.val_images, options.val_masks, labels, options.mask_orientation)
    return SegmentationJudge(train, val, config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluates, prints one table, and writes it as JSON if ``--json`` is given.

    Args:
        arguments: of the command line, without the program's name; None means ``sys.argv``.
    """
    with exit_on_user_error():
        options = _parser().parse_args(arguments)
        config = from_options(options.config, options)

        from vicregl_fast.evaluation.candidates import load_candidates
        from vicregl_fast.evaluation.comparison import compare
        from vicregl_fast.evaluation.report import format_table, write_json
        from vicregl_fast.models.backbone import check_backbone
        from vicregl_fast.weights.source import read_weights

        weights = read_weights(options.run, options.backbone)  # wrong ones are reported before any image is read
        check_backbone(weights.architecture.name)
        judge = options.judge(options, config)
        stride = getattr(options, "output_stride", None)
        rows = compare(load_candidates(weights, options.random_init, options.seed, stride), judge)
        print(format_table(options.command, rows))
        if options.json is not None:
            settings = {name: value for name, value in vars(options).items() if name not in ("config", "judge")}
            write_json(options.json, options.command, settings, rows)


def _parser() -> argparse.ArgumentParser:
    parser = SentenceParser(prog="python -m vicregl_fast.evaluate", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    nearest = commands.add_parser("knn", help="k-NN classification of pooled features")
    classify = commands.add_parser("linear", help="linear classification of pooled features")
    for command in (nearest, classify):
        for side in ("train", "test"):
            command.add_argument(f"--{side}", type=Path, required=True, help="folder of class folders, or a store")
            command.add_argument(f"--{side}_list", type=Path, help="which files of the folder, one path a line")
            command.add_argument(
                f"--{side}_labels",
                default="auto",
                metavar="auto|folders|FILE",
                help="where its labels come from (auto)",
            )
    segment = commands.add_parser("linear-seg", help="linear segmentation of frozen feature maps")
    for side in ("train", "val"):
        segment.add_argument(f"--{side}_images", type=Path, required=True, help="folder of images")
        segment.add_argument(f"--{side}_masks", type=Path, required=True, help="folder of masks with the same names")
    segment.add_argument("--classes", type=int, required=True, help="mask values 0 to CLASSES - 1 are classes")
    segment.add_argument("--ignore_index", metavar="VALUE|none", help="mask value of pixels that are left out (255)")
    segment.add_argument("--foreground", type=int, metavar="VALUE", help="mask value that is class 1, such as 255")
    segment.add_argument(
        "--mask_orientation",
        choices=MASK_ORIENTATIONS,
        default="ask",
        help="masks of images that EXIF turns lie as the stored pixels do, or upright; ask where it is unclear (ask)",
    )
    segment.add_argument("--output_stride", type=int, help="pixels per cell, by dilation (default: as trained)")
    for command, judge, config in (
        (nearest, knn, KnnConfig), (classify, linear, LinearConfig), (segment, linear_seg, SegmentationConfig),
    ):  # fmt: skip
        command.set_defaults(judge=judge, config=config)
        add_options(command, config)
        command.add_argument(
            "--run", "--weights", type=Path, required=True, help="run folder, checkpoint, or file of weights"
        )
        command.add_argument("--backbone", metavar="NAME", help="timm model, where the file does not say it")
        command.add_argument("--random_init", action="store_true", help="also the same network untrained")
        command.add_argument("--json", type=output_file, help="write the table to this file, too")
    return parser


if __name__ == "__main__":
    main()
