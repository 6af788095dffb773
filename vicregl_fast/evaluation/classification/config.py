"""The settings of ``evaluate knn``."""

import argparse
from dataclasses import dataclass

from vicregl_fast.evaluation.options import check_at_least, default_workers, option
from vicregl_fast.seeds import check_seed

VOTES = ("weighted", "plain", "both")


def counts(text: str) -> tuple[int, ...]:
    """An argparse type: different whole numbers above 0 with commas between, in ascending order."""
    parts = text.split(",")
    numbers = sorted({int(part) for part in parts if part.isdecimal() and int(part) > 0})
    if len(numbers) < len(parts):
        raise argparse.ArgumentTypeError(f"{text} must be different whole numbers above 0, with commas between")
    return tuple(numbers)


@dataclass(frozen=True)
class KnnConfig:
    """How k-NN classifies. Each field's text is the help of its command-line option."""

    k: tuple[int, ...] = option((10,), "neighbours that vote, several numbers with commas between", None, counts, "10")
    vote: str = option("weighted", "whether each votes by its cosine (temperature 0.07), or has one vote", VOTES)
    resize: int = option(128, "pixels of the short side before the centre crop")
    size: int = option(112, "pixels of a side of the centre crop")
    batch_size: int = option(128, "images a forward pass")
    seed: int = option(0, "seed of the untrained network, and of which images set its BatchNorm statistics")
    workers: int = option(default_workers(), "processes that decode images")

    def __post_init__(self) -> None:
        check_at_least("--batch_size", self.batch_size, 1)
        check_at_least("--workers", self.workers, 0)
        check_seed(self.seed)
