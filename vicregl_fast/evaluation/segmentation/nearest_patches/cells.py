"""The cells of training images with their classes: what k-NN segmentation knows.

Shape letters: n cells, C channels, h×w cells of a map, H×W pixels of a mask.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from dataprep.notes import note
from dataprep.progress import progress_bar
from vicregl_fast.draws import BANK_DRAW
from vicregl_fast.evaluation.segmentation.config import Labels
from vicregl_fast.evaluation.segmentation.map_batches import map_of, whole_images
from vicregl_fast.evaluation.segmentation.masks import MaskedImages
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.philox import order_keys

NO_LABEL = -1

LabelledCells = tuple[Tensor, Tensor]
"""Features float32 [n, C] and labels int64 [n]."""


def cell_labels(mask: Tensor, height: int, width: int, labels: Labels) -> Tensor:
    """The commonest class in each cell of a map of ``height``×``width`` cells that covers a mask.

    A pixel belongs to the cell in which its centre lies. Ignored pixels have no say; of classes that are equally common
    the lower one is taken.

    Args:
        mask: labels, int64 [H, W].
        height, width: h and w.
        labels: what they mean.

    Returns:
        int64 [h·w], row by row; ``NO_LABEL`` where no pixel of the cell has a class.
    """
    rows, columns = (
        torch.arange(1, 2 * side, 2) * cells // (2 * side)
        for side, cells in zip(mask.shape, (height, width), strict=True)
    )
    cells = rows[:, None] * width + columns
    counted = mask != labels.ignored
    keys = cells[counted] * labels.classes + mask[counted]
    counts = keys.bincount(minlength=height * width * labels.classes).view(height * width, labels.classes)
    return torch.where(counts.sum(1) > 0, counts.argmax(1), NO_LABEL)


def draw_cells(backbone: Backbone, train: MaskedImages, most: int, seed: int, workers: int) -> LabelledCells:
    """The cells of whole training images that have a class, on the CPU.

    If there are more than ``most``, so many are drawn, each with the same chance; a note says it. No more than twice as
    many are in memory at a time, and one image's.

    Args:
        backbone: frozen.
        train: images with masks.
        most: the most cells that are kept.
        seed: decides which.
        workers: processes that decode.

    Raises:
        UserError: an image or mask is bad, or the backbone accepts no image of its size.
    """
    drawn = _Drawn(most)
    for index, (features_nc, labels_n) in enumerate(_cells_of_images(backbone, train, workers)):
        kept_n = labels_n != NO_LABEL
        keys_n = order_keys(seed, index, len(labels_n), BANK_DRAW)[kept_n.numpy()]
        drawn.add(features_nc[kept_n.to(features_nc.device)].cpu(), labels_n[kept_n], keys_n)
    if drawn.seen > most:
        note(f"{most} of {drawn.seen} training cells with a class are drawn; --bank keeps more", once=True)
    return drawn.cells()


def _cells_of_images(backbone: Backbone, train: MaskedImages, workers: int) -> Iterator[LabelledCells]:
    for item in progress_bar(whole_images(train, workers), desc="training cells", total=len(train), leave=False):
        map_chw = map_of(backbone, item)[0]
        _, height, width = map_chw.shape
        yield map_chw.flatten(1).T, cell_labels(item.mask, height, width, train.labels)


class _Drawn:
    """Keeps the cells with the smallest of random keys, in the order in which they came."""

    def __init__(self, most: int):
        self.seen = 0
        self._most, self._count = most, 0
        self._parts: list[tuple[Tensor, Tensor, np.ndarray]] = []

    def add(self, features_nc: Tensor, labels_n: Tensor, keys_n: np.ndarray) -> None:
        self._parts.append((features_nc, labels_n, keys_n))
        self.seen += len(keys_n)
        self._count += len(keys_n)
        if self._count > 2 * self._most:
            self._reduce()

    def cells(self) -> LabelledCells:
        self._reduce()
        features_nc, labels_n, _ = self._parts[0]
        return features_nc, labels_n

    def _reduce(self) -> None:
        features, labels, keys = zip(*self._parts, strict=True)
        keys_n = np.concatenate(keys)
        kept = np.sort(np.argsort(keys_n, kind="stable")[: self._most])
        chosen = torch.from_numpy(kept)
        self._parts = [(torch.cat(features)[chosen], torch.cat(labels)[chosen], keys_n[kept])]
        self._count = len(kept)
