"""The settings of ``evaluate linear-seg``."""

from dataclasses import dataclass

from dataprep.errors import UserError
from vicregl_fast.evaluation.options import check_at_least, default_workers, option
from vicregl_fast.seeds import check_seed


@dataclass(frozen=True)
class Labels:
    """What the values of mask pixels mean.

    Attributes:
        classes: number of classes; the values 0 to ``classes`` - 1 name them.
        ignore_index: value of pixels that count neither in training nor in the score.

    Raises:
        UserError: fewer than two classes.
    """

    classes: int
    ignore_index: int

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise UserError(f"segmentation into {self.classes} classes is no task: --classes must be 2 or more")


@dataclass(frozen=True)
class SegmentationConfig:
    """How the linear head is trained. Each field's text is the help of its command-line option.

    The protocol ``cached`` is quick: each training image goes through the backbone once, whole and undistorted, and
    the head learns from the maps kept in memory. ``augmented`` is like the published protocol: in every iteration the
    backbone sees new random scales, crops, flips and colours. With either, validation images are segmented whole.
    """

    protocol: str = option(
        "cached", "quick on maps kept in memory, or slow with augmentation", choices=("cached", "augmented")
    )
    iterations: int = option(300, "steps of the head")
    batch_size: int = option(16, "images a step")
    lr: float = option(0.1, "learning rate at the start; the published 0.01 wants 40,000 steps")
    crop: int = option(256, "pixels of a side of the crops of the augmented protocol")
    seed: int = option(0, "seed of the order, crops, head, dropout and the untrained network")
    workers: int = option(default_workers(), "processes that decode images")

    def __post_init__(self) -> None:
        check_at_least("--iterations", self.iterations, 1)
        check_at_least("--batch_size", self.batch_size, 1)
        check_at_least("--crop", self.crop, 1)
        check_at_least("--workers", self.workers, 0)
        check_seed(self.seed)
        if not self.lr > 0:
            raise UserError(f"--lr is {self.lr}, but must be above 0")
