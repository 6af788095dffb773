"""Judges several backbones by the same method."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from torch import Tensor

from vicregl_fast.evaluation.batchnorm import reestimate_batchnorm
from vicregl_fast.evaluation.candidates import Candidate
from vicregl_fast.evaluation.report import Row
from vicregl_fast.models.backbone import Backbone


class Judge(Protocol):
    """A method to judge a backbone, with the images that it needs."""

    def training_images(self) -> Iterable[Tensor]:
        """Normalised images, float32 [n, 3, H, W] a batch, to estimate an untrained network's BatchNorm statistics."""
        ...

    def figures(self, backbone: Backbone) -> Mapping[str, float]:
        """The backbone's results in percent, by the name of the measure."""
        ...

    def majority_figures(self) -> Mapping[str, float]:
        """The results, in percent, of always answering the commonest class of the training images."""
        ...


def compare(candidates: Iterable[Candidate], judge: Judge) -> list[Row]:
    """Judges every candidate.

    Returns:
        One row for each candidate, and a last row for always answering the commonest training class.

    Raises:
        UserError: what loading or judging a candidate raises.
    """
    rows = []
    for candidate in candidates:
        if not candidate.trained:
            reestimate_batchnorm(candidate.backbone, judge.training_images())
        rows.append(Row(candidate.name, judge.figures(candidate.backbone)))
    return [*rows, Row("majority class", judge.majority_figures())]
