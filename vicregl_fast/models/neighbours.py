"""Classifies pooled features by their nearest neighbours, k-NN as in Wu et al. 2018.

Shape letters: n features with classes, m features to classify, k neighbours, c channels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

TEMPERATURE = 0.07
"""As in Wu et al.: a neighbour of cosine s votes with weight exp(s / 0.07)."""


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


def knn_classify(train_nc: Tensor, labels_n: Tensor, test_mc: Tensor, k: int, chunk: int = 1024) -> Tensor:
    """Classifies each test feature by its k training features of largest cosine.

    Each of the k votes for its class with weight exp(cosine / 0.07). Of classes with equal votes the lower one wins.

    Args:
        train_nc: training features, float32 [n, c].
        labels_n: their classes, int64 [n].
        test_mc: test features, float32 [m, c].
        k: neighbours that vote.
        chunk: test features worked on at a time, which bounds the memory.

    Returns:
        The classes, int64 [m].
    """
    train_nc = normalize(train_nc)
    classes = int(labels_n.max()) + 1
    answers = []
    for part_mc in normalize(test_mc).split(chunk):
        cosines_mk, neighbours_mk = (part_mc @ train_nc.T).topk(k)
        # Subtracting each row's largest cosine scales all votes of the row alike, and no weight exceeds 1.
        weights_mk = ((cosines_mk - cosines_mk[:, :1]) / TEMPERATURE).exp()
        votes = weights_mk.new_zeros(len(part_mc), classes).scatter_add_(1, labels_n[neighbours_mk], weights_mk)
        answers.append(votes.argmax(1))
    return torch.cat(answers)
