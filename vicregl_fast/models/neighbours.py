"""Classifies pooled features by their nearest neighbours, k-NN as in Wu et al. 2018.

Shape letters: n features with classes, m features to classify, k neighbours, c channels.
"""

from collections.abc import Sequence
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
    train_nc = normalize(train_nc)
    chunk = max(1, TABLE_BYTES // (4 * len(train_nc)))
    classes, most = int(labels_n.max()) + 1, max(vote.k for vote in votes)
    answers: list[list[Tensor]] = [[] for _ in votes]
    for part_mc in normalize(test_mc).split(chunk):
        cosines_mk, neighbours_mk = (part_mc @ train_nc.T).topk(most)
        for vote, made in zip(votes, answers, strict=True):
            made.append(_winners(cosines_mk[:, : vote.k], labels_n[neighbours_mk[:, : vote.k]], classes, vote.weighted))
    return [torch.cat(made) for made in answers]


def _winners(cosines_mk: Tensor, labels_mk: Tensor, classes: int, weighted: bool) -> Tensor:
    # Subtracting each row's largest cosine scales all votes of the row alike, and no weight exceeds 1.
    weights_mk = torch.ones_like(cosines_mk)
    if weighted:
        weights_mk = ((cosines_mk - cosines_mk[:, :1]) / TEMPERATURE).exp()
    return weights_mk.new_zeros(len(labels_mk), classes).scatter_add_(1, labels_mk, weights_mk).argmax(1)
