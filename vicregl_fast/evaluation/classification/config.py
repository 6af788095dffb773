"""The settings of ``evaluate knn``."""

from dataclasses import dataclass

from vicregl_fast.evaluation.options import check_at_least, default_workers, option
from vicregl_fast.seeds import check_seed


@dataclass(frozen=True)
class KnnConfig:
    """How to compare."""

    k: int = option(10, "neighbours that vote")
    resize: int = option(128, "pixels of the short side before the centre crop")
    size: int = option(112, "pixels of a side of the centre crop")
    batch_size: int = option(128, "images a forward pass")
    seed: int = option(0, "of the untrained network, and of the images for its BatchNorm")
    workers: int = option(default_workers(), "processes that decode images")

    def __post_init__(self) -> None:
        check_at_least("--k", self.k, 1)
        check_at_least("--batch_size", self.batch_size, 1)
        check_at_least("--workers", self.workers, 0)
        check_seed(self.seed)
