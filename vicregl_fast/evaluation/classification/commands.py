"""The commands ``evaluate knn`` and ``evaluate linear``."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from vicregl_fast.evaluation.classification.config import KnnConfig, LinearConfig
from vicregl_fast.evaluation.command import Command, add_comparison, add_output_stride

if TYPE_CHECKING:
    from vicregl_fast.evaluation.chosen_images import ChosenImages


def _add_arguments(parser: ArgumentParser) -> None:
    for side in ("train", "test"):
        parser.add_argument(f"--{side}", type=Path, required=True, help="folder of class folders, or a store")
        parser.add_argument(f"--{side}_list", type=Path, help="which of its images, one a line, such as 1%% of them")
        parser.add_argument(
            f"--{side}_labels", default="auto", metavar="auto|folders|FILE", help="where its labels come from (auto)"
        )
    add_comparison(parser)
    add_output_stride(parser)


def _opened(options: Namespace) -> "tuple[ChosenImages, ChosenImages]":
    """The training and the test images that the options name."""
    from vicregl_fast.evaluation.chosen_images import open_chosen

    train = open_chosen(options.train, options.train_list, options.train_labels)
    return train, open_chosen(options.test, options.test_list, options.test_labels, like=train)


def _knn(options: Namespace, config: KnnConfig) -> None:
    from vicregl_fast.evaluation.classification.knn import KnnJudge
    from vicregl_fast.evaluation.comparison import run_judge

    run_judge(options, lambda: KnnJudge(*_opened(options), config), lambda _: options.output_stride)


def _linear(options: Namespace, config: LinearConfig) -> None:
    from vicregl_fast.evaluation.classification.linear import LinearJudge
    from vicregl_fast.evaluation.comparison import run_judge

    run_judge(options, lambda: LinearJudge(*_opened(options), config), lambda _: options.output_stride)


COMMANDS = {
    "knn": Command("k-NN classification of pooled features", KnnConfig, _add_arguments, _knn),
    "linear": Command("linear classification of pooled features", LinearConfig, _add_arguments, _linear),
}
