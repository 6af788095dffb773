"""Several backbones, judged in one way."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from torch import Tensor

from vicregl_fast.evaluation.batchnorm import reestimate_batchnorm
from vicregl_fast.evaluation.candidates import Candidate
from vicregl_fast.evaluation.report import Row
from vicregl_fast.models.backbone import Backbone


class Judge(Protocol):
    """One way to judge a backbone, on images that it knows."""

    def training_images(self) -> Iterable[Tensor]:
        """Batches [n, 3, H, W] on which an untrained network's BatchNorm statistics are estimated."""
        ...

    def figures(self, backbone: Backbone) -> Mapping[str, float]:
        """The backbone's figures in percent, by name."""
        ...

    def majority_figures(self) -> Mapping[str, float]:
        """Those of always answering the commonest class of the training images."""
        ...


def compare(candidates: Iterable[Candidate], judge: Judge) -> list[Row]:
    """The figures of each candidate, and last those of the majority class.

    Raises:
        UserError: what the judge raises.
    """
    rows = []
    for candidate in candidates:
        if not candidate.trained:
            reestimate_batchnorm(candidate.backbone, judge.training_images())
        rows.append(Row(candidate.name, judge.figures(candidate.backbone)))
    return [*rows, Row("majority class", judge.majority_figures())]
