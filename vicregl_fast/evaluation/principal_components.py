"""The directions in which features differ most.

Shape letters: n features, c channels, k components.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PrincipalComponents:
    """Orthogonal directions of largest variance, the largest first.

    The sign of a direction, which nothing decides, is such that its entry of largest magnitude is positive.

    Attributes:
        mean_c: of the features, float32 [c].
        directions_ck: of length 1, float32 [c, k].
        shares_k: of the whole variance, float32 [k]; 0 where all features are equal.
    """

    mean_c: Tensor
    directions_ck: Tensor
    shares_k: Tensor

    @classmethod
    def of(cls, features_nc: Tensor, count: int) -> "PrincipalComponents":
        """Finds the first ``count`` components, k, of features float32 [n, c]; at most c."""
        mean_c = features_nc.mean(0)
        centred_nc = features_nc - mean_c
        covariance_cc = (centred_nc.T @ centred_nc).double() / len(features_nc)
        variances, directions = torch.linalg.eigh(covariance_cc)  # ascending
        directions_ck = directions.flip(1)[:, :count]
        largest_1k = directions_ck.gather(0, directions_ck.abs().argmax(0, keepdim=True))
        shares_k = variances.flip(0)[:count].clamp(min=0) / variances.sum().clamp(min=1e-30)
        return cls(mean_c, (directions_ck * largest_1k.sign()).float(), shares_k.float())

    def __call__(self, features_nc: Tensor) -> Tensor:
        """The coordinates of features, float32 [n, k]."""
        return (features_nc - self.mean_c) @ self.directions_ck
