"""k-NN while training goes on: validation images are classified by the newest features of the training images.

Shape letters: n samples, m images to classify, c channels.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vicregl_fast.data.engine_table import OpenedStore
from vicregl_fast.losses.collectives import gather_samples
from vicregl_fast.models.neighbours import Standardisation, knn_classify
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.training.processes import Processes

ROWS = 32768
"""The most features that the processes hold together; those of 2048 channels take 128 MiB."""
NEIGHBOURS = 20
"""As in Wu et al. 2018 for few classes; they vote with the temperature of ``knn_classify``."""


@dataclass(frozen=True)
class Neighbours:
    """Standardised features with their classes, the same on every process.

    Attributes:
        standardise: measured on them.
        features_nc: float32 [n, c].
        labels_n: int64 [n].
    """

    standardise: Standardisation
    features_nc: Tensor
    labels_n: Tensor

    def classify(self, pooled_mc: Tensor) -> Tensor:
        """The classes, int64 [m], of pooled features [m, c]."""
        k = min(NEIGHBOURS, len(self.labels_n))
        return knn_classify(self.features_nc, self.labels_n, self.standardise(pooled_mc.float()), k)


class FeatureBank:
    """This process's newest pooled features with their labels: a ring, in which new ones replace the oldest.

    Args:
        rows: how many it holds.
        channels: c.
        device: where it lies.
    """

    def __init__(self, rows: int, channels: int, device: torch.device):
        self._features = torch.zeros(rows, channels, dtype=torch.float16, device=device)
        self._labels = torch.zeros(rows, dtype=torch.int64, device=device)
        self._next = self._added = 0

    def add(self, features_nc: Tensor, labels_n: Tensor) -> None:
        """Adds the features [n, c] of a step, and their labels, int64 [n], without waiting for the device."""
        rows = len(self._labels)
        for ring, new in ((self._features, features_nc[-rows:]), (self._labels, labels_n[-rows:])):
            before_end = min(len(new), rows - self._next)
            ring[self._next : self._next + before_end] = new[:before_end]
            ring[: len(new) - before_end] = new[before_end:]
        self._next = (self._next + min(len(labels_n), rows)) % rows
        self._added += len(labels_n)

    def state(self) -> dict[str, Any]:
        """What it holds, on the CPU."""
        filled = min(self._added, len(self._labels))
        return {
            "features": self._features[:filled].cpu(),
            "labels": self._labels[:filled].cpu(),
            "next": self._next,
            "added": self._added,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes back what ``state`` gave, of a bank of as many rows."""
        filled = len(state["labels"])
        self._features[:filled], self._labels[:filled] = state["features"], state["labels"]
        self._next, self._added = state["next"], state["added"]

    def neighbours(self) -> Neighbours | None:
        """The features of all processes, which must all call this, without those that are not finite.

        Returns: None until the ring is full, since fewer features classify less well.
        """
        if self._added < len(self._labels):
            return None
        features_nc, labels_n = (gather_samples(ring[None])[0] for ring in (self._features, self._labels))
        finite_n = features_nc.isfinite().all(1)
        if not finite_n.any():
            return None
        features_nc = features_nc[finite_n].float()
        standardise = Standardisation.of(features_nc)
        return Neighbours(standardise, standardise(features_nc), labels_n[finite_n])


def feature_bank(
    train: OpenedStore, val: OpenedStore | None, network: VICRegLNetwork, epoch_images: int, processes: Processes
) -> FeatureBank | None:
    """The bank of a run; None where there are no images for validation, or no labels.

    Args:
        train, val: images for training and validation.
        network: gives the features.
        epoch_images: images in an epoch, of which no bank holds more.
        processes: the processes of the run.
    """
    if val is None or val.store.labels is None or train.store.labels is None:
        return None
    return FeatureBank(min(ROWS, epoch_images) // processes.world, network.backbone.channels, processes.device)
