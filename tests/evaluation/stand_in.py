"""Backbones whose features are known: what a map holds follows from the pixels by hand."""

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from vicregl_fast.models.backbone import FeatureMaps


class MeanColour(nn.Module):
    """The map is the mean colour of each ``stride``×``stride`` block, the pooled vector that of the image."""

    channels = 3
    name = "mean_colour"

    def __init__(self, stride: int = 4):
        super().__init__()
        self._side = stride
        self.norm = nn.BatchNorm2d(3)

    def stride(self) -> int:
        return self._side

    def forward(self, images: Tensor) -> FeatureMaps:
        cells = self.norm(avg_pool2d(images, self._side))
        return FeatureMaps(cells, cells.mean((2, 3)))


def mean_colour(seed: int) -> MeanColour:
    """Builds it in eval mode; nothing of it is drawn."""
    return MeanColour().eval()
