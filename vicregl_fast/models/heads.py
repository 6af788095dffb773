"""The expander of the pooled vector and the projector of every cell (docs/method.md, Network)."""

from typing import Literal

from torch import Tensor, nn


def mlp(channels: int, width: int, norm: Literal["batch", "layer"]) -> nn.Sequential:
    """A head [n, channels] to [n, width]: Linear-Norm-ReLU twice, then Linear without bias, each ``width`` wide."""
    make_norm = nn.BatchNorm1d if norm == "batch" else nn.LayerNorm
    return nn.Sequential(
        nn.Linear(channels, width),
        make_norm(width),
        nn.ReLU(inplace=True),
        nn.Linear(width, width),
        make_norm(width),
        nn.ReLU(inplace=True),
        nn.Linear(width, width, bias=False),
    )


class LocalProjector(nn.Module):
    """Applies one head to every cell. A BatchNorm sees the cells of all samples of a view as one batch.

    Args:
        channels: C, of the feature map.
        width: d, of the local embeddings.
        norm: kind of the head's norms.
    """

    def __init__(self, channels: int, width: int, norm: Literal["batch", "layer"]):
        super().__init__()
        self.mlp = mlp(channels, width, norm)

    def forward(self, features: Tensor) -> Tensor:
        """Maps a feature map [n, C, h, w] to local embeddings [n, h·w, d], with the cells row by row."""
        cells = features.flatten(2).transpose(1, 2)
        return self.mlp(cells.flatten(0, 1)).unflatten(0, cells.shape[:2])
