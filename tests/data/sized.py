"""A store of which only the tables are there."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass
class Sized:
    path: Path
    labels: np.ndarray | None
    classes: tuple[str, ...] | None
    heights: np.ndarray
    widths: np.ndarray

    def __len__(self) -> int:
        return len(self.heights)
