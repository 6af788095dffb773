"""Judges several backbones by the same method."""

from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

from vicregl_fast.evaluation.batchnorm import reestimate_batchnorm
from vicregl_fast.evaluation.candidates import Candidate, candidates_of
from vicregl_fast.evaluation.paper import PaperColumn, published_rows
from vicregl_fast.evaluation.report import Judgement, Row, format_details, format_table, write_json
from vicregl_fast.models.backbone import Backbone, check_backbone
from vicregl_fast.seeds import check_seed
from vicregl_fast.weights.source import read_weights


class Judge(Protocol):
    """A method to judge a backbone, with the images that it needs."""

    @property
    def published(self) -> PaperColumn | None:
        """Which of the paper's figures stand beside ours; None if it has none of this task."""
        ...

    @property
    def draws(self) -> bool:
        """Whether judging a backbone that is trained draws anything, so that seeds may differ."""
        ...

    def training_images(self, seed: int) -> Iterable[Tensor]:
        """Normalised images, float32 [n, 3, H, W] a batch, to estimate an untrained network's BatchNorm statistics.

        ``seed`` draws which.
        """
        ...

    def judge(self, backbone: Backbone, seed: int) -> Judgement:
        """What is found of a backbone; ``seed`` decides all that is drawn.

        The backbone may be changed: each seed has its own.
        """
        ...

    def majority_figures(self) -> Mapping[str, float]:
        """The results, in percent, of always answering the commonest class of the training images."""
        ...


def compare(candidates: Iterable[Candidate], judge: Judge, seeds: Sequence[int] = (0,)) -> list[Row]:
    """Judges every candidate with every seed that may make a difference.

    Returns:
        One row for each candidate; one for always answering the commonest training class; and the paper's rows of the
        same task and architectures, where there are such.

    Raises:
        UserError: what loading or judging a candidate raises.
    """
    rows, architectures = [], []
    for candidate in candidates:
        figures: dict[str, list[float]] = {}
        settings: list[Mapping[str, Any]] = []
        for seed in seeds if judge.draws or not candidate.trained else seeds[:1]:
            backbone = candidate.build(seed)
            if not candidate.trained:
                reestimate_batchnorm(backbone, judge.training_images(seed))
            judgement = judge.judge(backbone, seed)
            settings.append(judgement.settings)
            for name, value in judgement.figures.items():
                figures.setdefault(name, []).append(value)
        rows.append(Row(candidate.name, figures, settings if any(settings) else ()))
        architectures.append(candidate.architecture)
    rows.append(Row("majority class", {name: [value] for name, value in judge.majority_figures().items()}))
    return [*rows, *published_rows(judge.published, architectures)]


def run_judge(
    options: Namespace, open_judge: Callable[[], Judge], output_stride: Callable[[str], int | None] = lambda _: None
) -> None:
    """Compares what the options of ``command.add_comparison`` name; prints the table, and writes it for ``--json``.

    Args:
        options: parsed; ``arguments`` is the command line. With ``per_class``, details are printed, too.
        open_judge: opens the images; is called once the weights have been found good.
        output_stride: for timm's name of a backbone, pixels per cell of its map, if other than in training.

    Raises:
        UserError: weights or images are bad.
    """
    check_seed(options.seed + options.seeds - 1)
    check_seed(options.seed)
    runs = [read_weights(path, options.backbone) for path in options.run]
    for weights in runs:
        check_backbone(weights.architecture.name)
    judge = open_judge()
    candidates = candidates_of(runs, options.random_init, output_stride)
    rows = compare(candidates, judge, range(options.seed, options.seed + options.seeds))
    print(format_table(options.command, rows))
    if getattr(options, "per_class", False):
        print(format_details("per class", rows))
    if options.json is not None:
        settings = {name: value for name, value in vars(options).items() if name != "arguments"}
        write_json(options.json, options.command, settings, rows, options.arguments)
