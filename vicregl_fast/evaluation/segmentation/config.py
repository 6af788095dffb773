"""The settings of ``evaluate linear-seg``."""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from dataprep.errors import UserError
from vicregl_fast.evaluation.classification.config import rates
from vicregl_fast.evaluation.options import check_at_least, default_workers, option

Sides = tuple[int, int]
"""Height and width in pixels; of a base size, its long and short side."""
MaskOrientation = Literal["ask", "stored", "upright"]
MASK_ORIENTATIONS: tuple[MaskOrientation, ...] = get_args(MaskOrientation)
DatasetName = Literal["voc12aug", "cityscapes", "ade20k"]
DATASETS: tuple[DatasetName, ...] = get_args(DatasetName)
PROTOCOLS = ("cached", "augmented", "published")
FEATURES = ("last", "stages")
OPTIMISERS = ("sgd", "adamw")
TESTS = ("whole", "slide")
WINDOW, STRIDE = (512, 512), 341
"""Of the sliding window, in pixels, as published."""


def sides(text: str) -> Sides:
    """An argparse type: height and width in pixels, such as 512x1024; a single number stands for both."""
    parts = text.split("x")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"{text} must be a number of pixels, or height and width such as 512x1024")
    return int(parts[0]), int(parts[-1])


def base_sides(text: str) -> tuple[int, ...]:
    """An argparse type: the longest and the shortest side in pixels, such as 2048x512; or ``none``, which is empty."""
    if text == "none":
        return ()
    if "x" not in text:
        raise argparse.ArgumentTypeError(f"{text} must be a long and a short side such as 2048x512, or none")
    return tuple(sorted(sides(text), reverse=True))


@dataclass(frozen=True)
class SegmentationConfig:
    """How linear heads are trained and tried. Each field's text is the help of its command-line option.

    The protocol ``cached`` is quick: each training image goes through the backbone once, whole and undistorted, and
    the heads learn from the maps that are kept. ``augmented``: in every iteration the backbone sees new random scales,
    crops, flips and colours. ``published`` does so with the settings of the paper (docs/method.md, Evaluation), which
    depend on the data set and on the backbone (``protocol.protocol_of``).
    """

    protocol: str | None = option(
        None,
        "cached: quick, on maps that are kept; augmented: slow, on random crops; published: as in the paper",
        PROTOCOLS,
        str,
        "published for --dataset, else cached",
    )
    iterations: int | None = option(None, "steps of the heads", None, int, "300; published 40000, of ADE20K 160000")
    batch_size: int = option(16, "images a step")
    lr: tuple[float, ...] = option(
        (),
        "learning rates at the start, with commas between; of several, trained at once, the best is taken",
        None,
        rates,
        "sgd 0.1, fine-tuning and published 0.01; adamw 1e-3, fine-tuning and published 1e-4, for an XL 8e-5",
    )
    optimiser: str | None = option(
        None, "optimiser of what is trained", OPTIMISERS, str, "sgd; published for a ConvNeXt adamw"
    )
    features: str | None = option(
        None,
        "the last map, or the last four stages side by side",
        FEATURES,
        str,
        "last; published for a ConvNeXt stages",
    )
    dropout: float | None = option(None, "rate of the head's dropout", None, float, "0.1; published for a ConvNeXt 0")
    crop: Sides | None = option(  # noqa: RUF009
        None, "height and width of random crops", None, sides, "256; published 512, of Cityscapes 512x1024"
    )
    base_size: tuple[int, ...] | None = option(
        None,
        "long and short side within which images are resized before anything else; or none",
        None,
        base_sides,
        "none; published 2048x512, of Cityscapes 2048x1024",
    )
    test: str | None = option(
        None, "see validation images whole, or through a window", TESTS, str, "whole; published for a ConvNeXt slide"
    )
    window: Sides | None = option(  # noqa: RUF009
        None, "height and width of the window of --test slide, which must be given, too", None, sides, "512"
    )
    stride: int | None = option(None, "pixels by which the window moves", None, int, "341")
    workers: int = option(default_workers(), "processes that decode images")
    cache_folder: Path | None = option(  # noqa: RUF009
        None,
        "where cached keeps the maps that half of the free memory does not hold",
        None,
        Path,
        "the system's temporary folder",
    )

    def __post_init__(self) -> None:
        if self.iterations is not None:
            check_at_least("--iterations", self.iterations, 1)
        check_at_least("--batch_size", self.batch_size, 1)
        check_at_least("--workers", self.workers, 0)
        if not all(0 < rate < math.inf for rate in self.lr):
            raise UserError(f"--lr is {','.join(f'{rate:g}' for rate in self.lr)}, but must be above 0")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise UserError(f"--dropout is {self.dropout}, but must be at least 0 and below 1")
        self._check_window()
        if self.cache_folder is not None and not self.cache_folder.is_dir():
            raise UserError(f"--cache_folder {self.cache_folder} does not exist or is no folder: make it first")

    def _check_window(self) -> None:
        given = [f"--{name}" for name in ("window", "stride") if getattr(self, name) is not None]
        if given and self.test != "slide":
            verb = "is" if len(given) == 1 else "are"
            raise UserError(f"{' and '.join(given)} {verb} for --test slide: give it, too")
        check_at_least("--stride", self.used_stride, 1)
        if self.used_stride > min(self.used_window):
            raise UserError(f"--stride {self.used_stride} is more than --window has pixels, and would leave gaps")

    @property
    def used_window(self) -> Sides:
        """The window that was given, or the published one."""
        return self.window or WINDOW

    @property
    def used_stride(self) -> int:
        """The stride that was given, or the published one."""
        return STRIDE if self.stride is None else self.stride
