"""The settings of ``evaluate knn-seg``."""

from dataclasses import dataclass

from vicregl_fast.evaluation.options import check_at_least, default_workers, option


@dataclass(frozen=True)
class NearestPatchesConfig:
    """How cells are classified. Each field's text is the help of its command-line option."""

    k: int = option(20, "training cells that vote, each by its cosine (temperature 0.07)")
    bank: int = option(32768, "training cells kept at most; where there are more, so many are drawn")
    workers: int = option(default_workers(), "processes that decode images")

    def __post_init__(self) -> None:
        check_at_least("--k", self.k, 1)
        check_at_least("--bank", self.bank, self.k)
        check_at_least("--workers", self.workers, 0)
