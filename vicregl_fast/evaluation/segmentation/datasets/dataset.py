"""What a data set consists of."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dataprep.errors import UserError
from vicregl_fast.evaluation.segmentation.labels import Labels
from vicregl_fast.evaluation.segmentation.pairs import Pairs


@dataclass(frozen=True)
class SegmentationDataset:
    """Training and validation images with their masks.

    Attributes:
        train, val: which images have which masks.
        labels: what the values of both sides' masks mean.
    """

    train: Pairs
    val: Pairs
    labels: Labels


def folder_with(root: Path, inside: Iterable[str], needed: str, called: str) -> Path:
    """The folder, ``root`` or one of the folders ``inside`` it, that has the folder ``needed``.

    Raises:
        UserError: none has it.
    """
    candidates = [root, *(root / each for each in inside)]
    for candidate in candidates:
        if (candidate / needed).is_dir():
            return candidate
    looked = ", ".join(str(candidate / needed) for candidate in candidates)
    raise UserError(f"--root {root} does not hold {called}: there is none of the folders {looked}")
