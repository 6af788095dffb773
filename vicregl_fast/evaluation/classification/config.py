"""The settings of ``evaluate knn`` and ``evaluate linear``."""

import argparse
import math
from dataclasses import dataclass

from dataprep.errors import UserError
from vicregl_fast.evaluation.options import check_at_least, default_workers, option
from vicregl_fast.models.config import BackboneConfig

VOTES = ("weighted", "plain", "both")
KEPT_EPOCHS = 2
"""Epochs whose features are computed and kept, if nothing else is asked for."""


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
    vote: str = option(
        "weighted", "weighted: each votes by its cosine (temperature 0.07); plain: each has one vote; or both", VOTES
    )
    size: int = option(112, "pixels of a side of the centre crop, which shows 7/8 of the image's short side")
    batch_size: int = option(128, "images a forward pass")
    workers: int = option(default_workers(), "threads or processes that decode images")

    def __post_init__(self) -> None:
        check_at_least("--size", self.size, 1)
        check_at_least("--batch_size", self.batch_size, 1)
        check_at_least("--workers", self.workers, 0)


def rates(text: str) -> tuple[float, ...]:
    """An argparse type: different learning rates above 0 with commas between."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or len(set(numbers)) < len(numbers) or not all(0 < number < math.inf for number in numbers):
        raise argparse.ArgumentTypeError(f"{text} must be different numbers above 0, with commas between")
    return numbers


@dataclass(frozen=True)
class LinearConfig:
    """How linear classifiers are trained. Each field's text is the help of its command-line option.

    The defaults are the published protocol but for ``computed_epochs``: the backbone's features of so many epochs, each
    with crops of its own, are computed once, and the classifiers go through them again and again. With as many as
    ``epochs`` it is the published protocol, which keeps none, but for one thing: crops are resized bicubically, as in
    pretraining, where the paper resizes bilinearly. With
    ``finetune`` the backbone is trained along with the head, at a rate of its own, which the paper does not tell.
    """

    lr: tuple[float, ...] = option(
        (), "learning rates, with commas between, trained at once", None, rates, "0.3 for a ConvNeXt, else 0.02"
    )
    epochs: int = option(100, "passes over the training images")
    computed_epochs: int | None = option(
        None,
        "epochs with crops of their own; later ones go through their features again",
        None,
        int,
        f"{KEPT_EPOCHS}; all with --finetune",
    )
    finetune: bool = option(False, "train the backbone, too")
    backbone_lr: float = option(0.01, "learning rate of the backbone with --finetune")
    size: int = option(224, "pixels of a side of the crops")
    batch_size: int = option(256, "images a step")
    workers: int = option(default_workers(), "threads or processes that decode images")

    def __post_init__(self) -> None:
        check_at_least("--epochs", self.epochs, 1)
        check_at_least("--computed_epochs", self.computed, 1)
        check_at_least("--size", self.size, 1)
        check_at_least("--batch_size", self.batch_size, 1)
        check_at_least("--workers", self.workers, 0)
        if not 0 < self.backbone_lr < math.inf:
            raise UserError(f"--backbone_lr is {self.backbone_lr}, but must be above 0")
        if self.finetune and self.keeps:
            raise UserError("--finetune computes the features of every epoch: leave --computed_epochs out")
        if self.finetune and len(self.lr) > 1:
            raise UserError("--finetune trains one network: give one --lr, and another in a run of its own")

    @property
    def computed(self) -> int:
        """How many epochs have crops of their own."""
        if self.computed_epochs is not None:
            return self.computed_epochs
        return self.epochs if self.finetune else KEPT_EPOCHS

    @property
    def keeps(self) -> bool:
        """Whether features are kept for later epochs."""
        return self.computed < self.epochs

    def rates(self, backbone: str) -> tuple[float, ...]:
        """The learning rates for a backbone of this name."""
        return self.lr or (0.3 if BackboneConfig(backbone).is_convnext else 0.02,)
