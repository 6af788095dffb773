"""The commands ``evaluate knn`` and ``evaluate linear``."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from vicregl_fast.evaluation.classification.config import KnnConfig, LinearConfig
from vicregl_fast.evaluation.command import Command, add_comparison


def _add_arguments(parser: ArgumentParser) -> None:
    for side in ("train", "test"):
        parser.add_argument(f"--{side}", type=Path, required=True, help="folder of class folders, or a store")
        parser.add_argument(
            f"--{side}_list", type=Path, help="which images of the folder, one a line, such as 1%% of them"
        )
        parser.add_argument(
            f"--{side}_labels", default="auto", metavar="auto|folders|FILE", help="where its labels come from (auto)"
        )
    add_comparison(parser)


def _knn(options: Namespace, config: KnnConfig) -> None:
    from vicregl_fast.evaluation.classification.crop_feed import open_labelled
    from vicregl_fast.evaluation.classification.knn import KnnJudge
    from vicregl_fast.evaluation.comparison import run_judge

    def judge() -> KnnJudge:
        train = open_labelled(options.train, options.train_list, options.train_labels)
        test = open_labelled(options.test, options.test_list, options.test_labels, like=train)
        return KnnJudge(train, test, config)

    run_judge(options, judge)


def _linear(options: Namespace, config: LinearConfig) -> None:
    from vicregl_fast.evaluation.classification.crop_feed import open_labelled
    from vicregl_fast.evaluation.classification.linear import LinearJudge
    from vicregl_fast.evaluation.comparison import run_judge

    def judge() -> LinearJudge:
        train = open_labelled(options.train, options.train_list, options.train_labels)
        test = open_labelled(options.test, options.test_list, options.test_labels, like=train)
        return LinearJudge(train, test, config)

    run_judge(options, judge)


COMMANDS = {
    "knn": Command("k-NN classification of pooled features", KnnConfig, _add_arguments, _knn),
    "linear": Command("linear classification of pooled features", LinearConfig, _add_arguments, _linear),
}
