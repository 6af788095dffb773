"""The settings of ``evaluate linear-seg``."""

from dataclasses import dataclass
from typing import Literal, get_args

from dataprep.errors import UserError
from vicregl_fast.evaluation.options import check_at_least, default_workers, option

MaskOrientation = Literal["ask", "stored", "upright"]
MASK_ORIENTATIONS: tuple[MaskOrientation, ...] = get_args(MaskOrientation)
USUAL_IGNORE_INDEX = 255


@dataclass(frozen=True)
class Labels:
    """What the values of mask pixels mean.

    Attributes:
        classes: number of classes; the values 0 to ``classes`` - 1 name them.
        ignore_index: value of pixels that count neither in training nor in the score; None if all pixels count.
        foreground: value of pixels that are of class 1 as well; None for none.

    Raises:
        UserError: fewer than two classes, or the foreground is ignored.
    """

    classes: int
    ignore_index: int | None = USUAL_IGNORE_INDEX
    foreground: int | None = None

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise UserError(f"segmentation into {self.classes} classes is no task: --classes must be 2 or more")
        if self.foreground is not None and self.foreground == self.ignore_index:
            raise UserError(
                f"the value {self.foreground} cannot be both the foreground and ignored: "
                "leave --ignore_index out, or give none"
            )

    @property
    def ignored(self) -> int:
        """The label of pixels that do not count, once a mask is read; -1, which no pixel has, if all count."""
        return -1 if self.ignore_index is None else self.ignore_index


def ignore_index_of(given: str | None, foreground: int | None) -> int | None:
    """Reads ``--ignore_index``: a number or ``none``; if it is not given, 255 unless that is the foreground.

    Raises:
        UserError: it is something else.
    """
    if given is None:
        return None if foreground == USUAL_IGNORE_INDEX else USUAL_IGNORE_INDEX
    if given == "none":
        return None
    if not given.isdecimal():
        raise UserError(f"--ignore_index {given} is no value of a pixel: give a number from 0, or none")
    return int(given)


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
    workers: int = option(default_workers(), "processes that decode images")

    def __post_init__(self) -> None:
        check_at_least("--iterations", self.iterations, 1)
        check_at_least("--batch_size", self.batch_size, 1)
        check_at_least("--crop", self.crop, 1)
        check_at_least("--workers", self.workers, 0)
        if not self.lr > 0:
            raise UserError(f"--lr is {self.lr}, but must be above 0")
