"""Pooled features of random crops, epoch after epoch; n images, b of them in a batch, c channels."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from dataprep.errors import UserError
from dataprep.free_space import GIB
from vicregl_fast.data.memory import free_memory
from vicregl_fast.evaluation.classification.config import LinearConfig
from vicregl_fast.evaluation.classification.crop_feed import RandomCropFeed
from vicregl_fast.evaluation.classification.features import pooled_of
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.philox import permutation

FeatureBatch = tuple[Tensor, Tensor]
"""Features float32 [b, c] and labels int64 [b], on the backbone's device."""


class FeatureEpochs:
    """Batches of features with their labels.

    Those of the first ``computed_epochs`` are computed, each of crops of its own. Later epochs go through them again,
    in other orders; only if there are such are they kept, on the backbone's device.

    Args:
        backbone: frozen, in eval mode.
        crops: of the images.
        chosen: the samples to use, int64 [n].
        labels: of all samples of the store, int64.
        config: how many epochs are computed, and the size of batches.
        seed: of orders.

    Raises:
        UserError: what is to be kept does not fit into memory.
    """

    def __init__(
        self,
        backbone: Backbone,
        crops: RandomCropFeed,
        chosen: np.ndarray,
        labels: Tensor,
        config: LinearConfig,
        seed: int,
    ):
        self._backbone, self._crops, self._chosen, self._labels = backbone, crops, chosen, labels
        self._config, self._seed = config, seed
        self._kept: list[FeatureBatch] = []
        if config.keeps:
            self._check_memory()

    def _check_memory(self) -> None:
        needed = self._config.computed * len(self._chosen) * 4 * self._backbone.channels
        free = free_memory(next(self._backbone.parameters()).device)
        if needed > free:
            raise UserError(
                f"features of {self._config.computed} epochs take {needed / GIB:.1f} GiB, and {free / GIB:.1f} GiB are "
                "free: lower --computed_epochs, or give it as many as --epochs, which keeps none"
            )

    def epoch(self, number: int) -> Iterator[FeatureBatch]:
        """The batches of an epoch, counted from 0; epochs must be asked for in order.

        Raises:
            UserError: an image does not decode, or the backbone takes none of this size.
        """
        order = permutation(self._seed, number, len(self._chosen))
        if number >= self._config.computed:
            yield from self._again(order, *self._kept[number % self._config.computed])
        elif self._config.keeps:
            yield from self._kept_as_computed(order, number)
        else:
            yield from self._computed(order, number)

    def _kept_as_computed(self, order: np.ndarray, number: int) -> Iterator[FeatureBatch]:
        device = next(self._backbone.parameters()).device
        features_nc = torch.empty(len(order), self._backbone.channels, device=device)
        labels_n = torch.empty(len(order), dtype=torch.int64, device=device)
        first = 0
        for features_bc, labels_b in self._computed(order, number):
            rows = slice(first, first := first + len(labels_b))
            features_nc[rows], labels_n[rows] = features_bc, labels_b
            yield features_bc, labels_b
        self._kept.append((features_nc, labels_n))

    def _again(self, order: np.ndarray, features_nc: Tensor, labels_n: Tensor) -> Iterator[FeatureBatch]:
        for part in torch.from_numpy(order).to(labels_n.device).split(self._config.batch_size):
            yield features_nc[part], labels_n[part]

    @torch.no_grad()
    def _computed(self, order: np.ndarray, number: int) -> Iterator[FeatureBatch]:
        for images, labels_b in labelled_crops(self._crops, self._chosen[order], self._labels, number):
            yield pooled_of(self._backbone, images), labels_b


def labelled_crops(
    crops: RandomCropFeed, order: np.ndarray, labels: Tensor, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Random crops [b, 3, S, S] of an epoch with their labels int64 [b], on the crops' device.

    Args:
        crops: of the images.
        order: which samples, int64 [n].
        labels: of all samples of the store, int64.
        epoch: which crops.

    Raises:
        UserError: an image does not decode.
    """
    for indices, images in crops.batches(order, epoch):
        yield images, labels[torch.from_numpy(indices)].to(images.device)
