"""Judges several backbones by the same method."""

from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from dataprep.errors import UserError, reason_of
from dataprep.notes import note, notes_about
from vicregl_fast.evaluation.batchnorm import reestimate_batchnorm
from vicregl_fast.evaluation.candidates import Candidate, candidates_of
from vicregl_fast.evaluation.paper import PaperColumn, published_rows
from vicregl_fast.evaluation.report import Judgement, Row, format_details, format_table, write_json
from vicregl_fast.models.backbone import Backbone, check_backbone
from vicregl_fast.seeds import check_seed
from vicregl_fast.weights.source import Weights, read_weights, same_model


class Judge(Protocol):
    """A method to judge a backbone, with the images that it needs."""

    @property
    def published(self) -> PaperColumn | None:
        """Which of the paper's figures stand beside ours; None if it has none of this task."""
        ...

    @property
    def details(self) -> Sequence[str]:
        """The names of all details that figures may have, in the order of their table."""
        ...

    def training_images(self, seed: int) -> Iterable[Tensor]:
        """Normalised images, float32 [n, 3, H, W] a batch, to estimate an untrained network's BatchNorm statistics.

        ``seed`` draws which.
        """
        ...

    def try_out(self, backbone: Backbone) -> None:
        """Lets a backbone see an image of the size that it will see.

        Raises:
            UserError: it takes none of this size.
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


class Comparison:
    """Candidates that are judged one after another, and the rows of those that have been.

    Args:
        judge: judges them.
        seeds: each may make a difference where something is drawn.
        several: whether there are several candidates or seeds, so that notes must say of which they are.
    """

    def __init__(self, judge: Judge, seeds: Sequence[int], several: bool):
        self._judge, self._seeds, self._several = judge, seeds, several
        self._begun: list[_Judged] = []

    def add(self, candidate: Candidate) -> None:
        """Judges a candidate with every seed that may make a difference.

        Raises:
            UserError: what loading or judging it raises.
        """
        self._begun.append(judged := _Judged(candidate))
        for seed in self._seeds:
            with notes_about(f"{candidate.name}, seed {seed}") if self._several else nullcontext():
                self._judge_once(judged, seed)
            if candidate.trained and not judged.judgements[-1].drew:
                if len(self._seeds) > 1:
                    note(f"nothing is drawn for {candidate.name}: it is judged once, whatever the seeds")
                return

    def _judge_once(self, judged: "_Judged", seed: int) -> None:
        candidate = judged.candidate
        backbone = candidate.build(seed)
        if not judged.backbone:
            judged.backbone = {**candidate.origin, "backbone": backbone.name, "output_stride": backbone.stride()}
        if not candidate.trained:
            reestimate_batchnorm(backbone, self._judge.training_images(seed))
        judged.judgements.append(self._judge.judge(backbone, seed))

    @property
    def rows(self) -> list[Row]:
        """What ``compare`` returns, of the candidates and seeds that are done; none before the first is."""
        done = [judged for judged in self._begun if judged.judgements]
        if not done:
            return []
        rows = [judged.row for judged in done]
        rows.append(Row("majority class", {name: [value] for name, value in self._judge.majority_figures().items()}))
        return [*rows, *published_rows(self._judge.published, [judged.candidate.architecture for judged in done])]


@dataclass
class _Judged:
    """A candidate with what was found of it, seed by seed."""

    candidate: Candidate
    backbone: Mapping[str, Any] = field(default_factory=dict)
    judgements: list[Judgement] = field(default_factory=list)

    @property
    def row(self) -> Row:
        figures: dict[str, list[float]] = {}
        for judgement in self.judgements:
            for name, value in judgement.figures.items():
                figures.setdefault(name, []).append(value)
        settings = [judgement.settings for judgement in self.judgements]
        return Row(self.candidate.name, figures, settings if any(settings) else (), self.backbone)


def compare(candidates: Iterable[Candidate], judge: Judge, seeds: Sequence[int] = (0,)) -> list[Row]:
    """Judges every candidate with every seed that may make a difference.

    Returns:
        One row for each candidate; one for always answering the commonest training class; and the paper's rows of the
        same task and architectures, where there are such.

    Raises:
        UserError: what loading or judging a candidate raises.
    """
    comparison = Comparison(judge, seeds, several=False)
    for candidate in candidates:
        comparison.add(candidate)
    return comparison.rows


def run_judge(
    options: Namespace, open_judge: Callable[[], Judge], output_stride: Callable[[str], int | None] = lambda _: None
) -> None:
    """Compares what the options of ``command.add_comparison`` name; prints the table, and writes it for ``--json``.

    Whatever ends it early, the rows that are finished are printed and written.

    Args:
        options: parsed; ``arguments`` is the command line. With ``per_class``, details are printed, too.
        open_judge: opens the images; is called once the weights have been found good.
        output_stride: for timm's name of a backbone, pixels per cell of its map, if other than in training.

    Raises:
        UserError: weights or images are bad.
    """
    check_seed(options.seed + options.seeds - 1)
    check_seed(options.seed)
    runs = _read_runs(options.run, options.backbone or [])
    judge = open_judge()
    candidates = list(candidates_of(runs, options.random_init, output_stride))
    seeds = range(options.seed, options.seed + options.seeds)
    comparison = Comparison(judge, seeds, several=len(candidates) * len(seeds) > 1)
    try:
        if len(runs) > 1:  # a later one that is refused would end work that is done
            _try_out(candidates, judge, seeds[0])
        for candidate in candidates:
            comparison.add(candidate)
    except BaseException as error:
        if comparison.rows:
            stopped_by = "Ctrl-C" if isinstance(error, KeyboardInterrupt) else reason_of(error)
            note("the table is incomplete: it holds what was judged before the end")
            _show(options, comparison.rows, judge.details, stopped_by)
        raise
    _show(options, comparison.rows, judge.details)


def _read_runs(paths: Sequence[Path], backbones: Sequence[str]) -> list[Weights]:
    """Reads the weights; one name of a backbone is for all that do not state theirs, several are one for each."""
    if len(backbones) == len(paths):
        runs = [read_weights(path, name) for path, name in zip(paths, backbones, strict=True)]
    elif len(backbones) > 1:
        raise UserError(f"--backbone is given {len(backbones)} times, and --run {len(paths)}: give one, or as many")
    else:
        name = backbones[0] if backbones else None
        runs = [read_weights(path, name, else_stated=True) for path in paths]
        if name is not None and not any(same_model(weights.architecture.name, name) for weights in runs):
            raise UserError(f"each --run says which backbone it holds, and none is a {name}: leave out --backbone")
    for weights in runs:
        check_backbone(weights.architecture.name)
    return runs


def _try_out(candidates: Iterable[Candidate], judge: Judge, seed: int) -> None:
    """Builds the trained ones, and lets each see an image of the size that it will see."""
    for candidate in candidates:
        if candidate.trained:
            judge.try_out(candidate.build(seed))


def _show(options: Namespace, rows: Sequence[Row], details: Sequence[str], stopped_by: str = "") -> None:
    print(format_table(options.command, rows))
    if getattr(options, "per_class", False):
        print(format_details("per class", rows, details))
    if options.json is not None:
        settings = {name: value for name, value in vars(options).items() if name != "arguments"}
        write_json(options.json, options.command, settings, rows, options.arguments, stopped_by)
