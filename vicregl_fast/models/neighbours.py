"""Classifies features by their nearest neighbours, k-NN as in Wu et al. 2018.

Shape letters: n features with classes, m features to classify, k neighbours, c channels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

TEMPERATURE = 0.07
"""As in Wu et al.: a neighbour of cosine s votes with weight exp(s / 0.07)."""
TABLE_BYTES = 256 << 20
"""Of the cosines that are held at a time."""


@dataclass(frozen=True)
class Standardisation:
    """Shifts and scales each channel, so that the features it was measured on get mean 0 and deviation 1.

    A pooled vector of ReLU outputs has no negative entries, and a few channels are much larger than the rest.
    Without standardisation the cosine between any two images is near 1, and those channels decide it.

    Attributes:
        mean_c: float32 [c].
        deviation_c: float32 [c].
    """

    mean_c: Tensor
    deviation_c: Tensor

    @classmethod
    def of(cls, features_nc: Tensor) -> "Standardisation":
        """Measures the features float32 [n, c]; a constant channel is given deviation 1, so that it keeps its scale."""
        deviation_c = features_nc.std(0, correction=0)
        return cls(features_nc.mean(0), torch.where(deviation_c > 1e-6, deviation_c, 1.0))

    def __call__(self, features_nc: Tensor) -> Tensor:
        """Standardises features float32 [n, c]."""
        return (features_nc - self.mean_c) / self.deviation_c


class Vote(NamedTuple):
    """How neighbours decide.

    Attributes:
        k: how many vote.
        weighted: whether each votes with weight exp(cosine / 0.07); otherwise each has one vote.
    """

    k: int
    weighted: bool = True


class Bank:
    """Features with classes, whose nearest by cosine classify others.

    Args:
        features_nc: float32 [n, c].
        labels_n: their classes, int64 [n], on the same device.
        classes: number of classes; None for what the labels need.
    """

    def __init__(self, features_nc: Tensor, labels_n: Tensor, classes: int | None = None):
        self._unit_nc, self._labels_n = normalize(features_nc), labels_n
        self._classes = int(labels_n.max()) + 1 if classes is None else classes

    def answers(self, queries_mc: Tensor, votes: Sequence[Vote]) -> list[Tensor]:
        """The classes, int64 [m], of features float32 [m, c] by each vote; of classes with equal votes the lower one.

        No vote has more neighbours than there are.
        """
        answers: list[list[Tensor]] = [[] for _ in votes]
        for cosines_mk, labels_mk in self._nearest(queries_mc, max(vote.k for vote in votes)):
            for vote, made in zip(votes, answers, strict=True):
                made.append(_weights(cosines_mk, labels_mk, vote, self._classes).argmax(1))
        return [torch.cat(made) for made in answers]

    def shares(self, queries_mc: Tensor, vote: Vote) -> Tensor:
        """The share that each class has of the vote, float32 [m, classes], for features float32 [m, c]."""
        tables = [_weights(*nearest, vote, self._classes) for nearest in self._nearest(queries_mc, vote.k)]
        weights = torch.cat(tables)
        return weights / weights.sum(1, keepdim=True)

    def _nearest(self, queries_mc: Tensor, k: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Cosines in descending order and classes, [rows, k] each, of so many queries as fit into ``TABLE_BYTES``."""
        rows = max(1, TABLE_BYTES // (4 * len(self._unit_nc)))
        for part_mc in normalize(queries_mc).split(rows):
            cosines_mk, neighbours_mk = (part_mc @ self._unit_nc.T).topk(k)
            yield cosines_mk, self._labels_n[neighbours_mk]


def knn_classify(train_nc: Tensor, labels_n: Tensor, test_mc: Tensor, k: int) -> Tensor:
    """The answers of ``knn_answers``, int64 [m], for one weighted vote of k neighbours."""
    return knn_answers(train_nc, labels_n, test_mc, [Vote(k)])[0]


def knn_answers(train_nc: Tensor, labels_n: Tensor, test_mc: Tensor, votes: Sequence[Vote]) -> list[Tensor]:
    """Classifies each test feature by its training features of largest cosine, in one pass for several votes.

    Of classes with equal votes the lower one wins.

    Args:
        train_nc: training features, float32 [n, c].
        labels_n: their classes, int64 [n].
        test_mc: test features, float32 [m, c].
        votes: how their neighbours vote; no k exceeds n.

    Returns:
        For each vote the classes, int64 [m].
    """
    return Bank(train_nc, labels_n).answers(test_mc, votes)


def _weights(cosines_mk: Tensor, labels_mk: Tensor, vote: Vote, classes: int) -> Tensor:
    """What the nearest ``vote.k`` give to each class, [m, classes]."""
    cosines_mk, labels_mk = cosines_mk[:, : vote.k], labels_mk[:, : vote.k]
    # Subtracting each row's largest cosine scales all votes of the row alike, and no weight exceeds 1.
    weights_mk = torch.ones_like(cosines_mk)
    if vote.weighted:
        weights_mk = ((cosines_mk - cosines_mk[:, :1]) / TEMPERATURE).exp()
    return weights_mk.new_zeros(len(labels_mk), classes).scatter_add_(1, labels_mk, weights_mk)
