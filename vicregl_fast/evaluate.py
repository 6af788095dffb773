"""Judges a run's backbone: ``python -m vicregl_fast.evaluate knn ...`` and ``... linear-seg ...``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from dataprep.command_line import SentenceParser
from dataprep.errors import exit_on_user_error
from vicregl_fast.evaluation.candidates import load_candidates
from vicregl_fast.evaluation.knn import KnnConfig, evaluate_knn
from vicregl_fast.evaluation.linear_segmentation import SegmentationConfig, evaluate_segmentation
from vicregl_fast.evaluation.masks import Labels, MaskedImages
from vicregl_fast.evaluation.options import add_options, from_options
from vicregl_fast.evaluation.report import Row, check_output, format_table, write_json
from vicregl_fast.evaluation.stored_images import open_images


def knn(options: argparse.Namespace) -> list[Row]:
    """k-NN accuracy of the options' run."""
    train = open_images(options.train, options.train_list)
    test = open_images(options.test, options.test_list)
    candidates = load_candidates(options.run, options.random_init, options.seed)
    return evaluate_knn(candidates, train, test, from_options(KnnConfig, options))


def linear_seg(options: argparse.Namespace) -> list[Row]:
    """Linear segmentation of the options' run."""
    labels = Labels(options.classes, options.ignore_index)
    train = MaskedImages(options.train_images, options.train_masks, labels)
    val = MaskedImages(options.val_images, options.val_masks, labels)
    candidates = load_candidates(options.run, options.random_init, options.seed, options.output_stride)
    return evaluate_segmentation(candidates, train, val, from_options(SegmentationConfig, options))


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluates, prints one table, and writes it as JSON where asked."""
    with exit_on_user_error():
        options = _parser().parse_args(arguments)
        check_output(options.json)
        rows = options.evaluation(options)
        print(format_table(options.command, rows))
        if options.json is not None:
            settings = {name: value for name, value in vars(options).items() if name != "evaluation"}
            write_json(options.json, options.command, settings, rows)


def _parser() -> argparse.ArgumentParser:
    parser = SentenceParser(prog="python -m vicregl_fast.evaluate", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    nearest = commands.add_parser("knn", help="k-NN classification of pooled features")
    nearest.set_defaults(evaluation=knn)
    for side in ("train", "test"):
        nearest.add_argument(f"--{side}", type=Path, required=True, help="folder of class folders, or a .beton store")
        nearest.add_argument(f"--{side}-list", type=Path, help="which files of the folder, one path a line")
    add_options(nearest, KnnConfig)
    segment = commands.add_parser("linear-seg", help="linear segmentation of frozen feature maps")
    segment.set_defaults(evaluation=linear_seg)
    for side in ("train", "val"):
        segment.add_argument(f"--{side}-images", type=Path, required=True, help="folder of images")
        segment.add_argument(f"--{side}-masks", type=Path, required=True, help="folder of masks with the same names")
    segment.add_argument("--classes", type=int, required=True, help="mask values 0 to CLASSES - 1 are classes")
    segment.add_argument("--ignore-index", type=int, default=255, help="mask value that counts nowhere (255)")
    segment.add_argument("--output-stride", type=int, help="pixels per cell, by dilation (default: as trained)")
    add_options(segment, SegmentationConfig)
    for command in (nearest, segment):
        command.add_argument("--run", type=Path, required=True, help="run folder, or a checkpoint in it")
        command.add_argument("--random-init", action="store_true", help="also the same network untrained")
        command.add_argument("--json", type=Path, help="write the table to this file, too")
    return parser


if __name__ == "__main__":
    main()
