"""The expander of the pooled vector and the projector of every cell (method, section 4)."""

from typing import Literal

from torch import Tensor, nn


def mlp(channels: int, width: int, norm: Literal["batch", "layer"]) -> nn.Sequential:
    """Linear-Norm-ReLU twice, then Linear without bias: ``channels`` to ``width`` three times."""
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
    """The same network on every cell; a BatchNorm sees the cells of all samples as one batch."""

    def __init__(self, channels: int, width: int, norm: Literal["batch", "layer"]):
        super().__init__()
        self.mlp = mlp(channels, width, norm)

    def forward(self, features: Tensor) -> Tensor:
        """A map [n, C, h, w] to local embeddings [n, h·w, d], cells in row order."""
        cells = features.flatten(2).transpose(1, 2)
        return self.mlp(cells.flatten(0, 1)).unflatten(0, cells.shape[:2])
