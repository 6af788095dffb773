"""The settings of ``evaluate knn``."""

from dataclasses import dataclass

from vicregl_fast.evaluation.options import check_at_least, default_workers, option
from vicregl_fast.seeds import check_seed


@dataclass(frozen=True)
class KnnConfig:
    """How k-NN classifies. Each field's text is the help of its command-line option."""

    k: int = option(10, "neighbours that vote")
    resize: int = option(128, "pixels of the short side before the centre crop")
    size: int = option(112, "pixels of a side of the centre crop")
    batch_size: int = option(128, "images a forward pass")
    seed: int = option(0, "seed of the untrained network, and of which images set its BatchNorm statistics")
    workers: int = option(default_workers(), "processes that decode images")

    def __post_init__(self) -> None:
        check_at_least("--k", self.k, 1)
        check_at_least("--batch_size", self.batch_size, 1)
        check_at_least("--workers", self.workers, 0)
        check_seed(self.seed)
