"""How large a crop is and what shape it has."""

import math
from dataclasses import dataclass

from dataprep.errors import UserError


@dataclass(frozen=True)
class CropRule:
    """Ranges of a crop's share of the image's area and of its ratio width/height (torchvision's RandomResizedCrop)."""

    scale: tuple[float, float]
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise UserError(f"a crop's scale is (low, high) with 0 < low <= high <= 1, not {self.scale}")
        if not 0 < self.ratio[0] <= self.ratio[1] < math.inf:
            raise UserError(f"a crop's ratio is (low, high) with 0 < low <= high, not {self.ratio}")
