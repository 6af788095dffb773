"""The ranges that a crop's size and shape are drawn from."""

import math
from dataclasses import dataclass

from dataprep.errors import UserError


@dataclass(frozen=True)
class CropRule:
    """Settings of a random crop, as in torchvision's RandomResizedCrop.

    Attributes:
        scale: least and largest share of the image's area, within (0, 1].
        ratio: least and largest ratio width / height.

    Raises:
        UserError: a range is empty, or not within its bounds.
    """

    scale: tuple[float, float]
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise UserError(f"a crop's scale is (low, high) with 0 < low <= high <= 1, not {self.scale}")
        if not 0 < self.ratio[0] <= self.ratio[1] < math.inf:
            raise UserError(f"a crop's ratio is (low, high) with 0 < low <= high, not {self.ratio}")
