"""Pooled features of random crops, epoch after epoch; n images, b of them in a batch, c channels."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

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

    def epoch(self, number: int) -> Iterator[FeatureBatch]:
        """The batches of an epoch, counted from 0; epochs must be asked for in order.

        Raises:
            UserError: an image does not decode, or the backbone takes none of this size.
        """
        order = permutation(self._seed, number, len(self._chosen))
        if number >= self._config.computed:
            yield from self._again(order, *self._kept[number % self._config.computed])
        elif self._config.keeps:
            batches = list(self._computed(order, number))
            self._kept.append((torch.cat([each for each, _ in batches]), torch.cat([each for _, each in batches])))
            yield from batches
        else:
            yield from self._computed(order, number)

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
