"""Linear classification of frozen features: how the paper judges pooled features (docs/method.md, Evaluation)."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from dataprep.errors import UserError
from dataprep.notes import note
from dataprep.progress import progress_bar
from vicregl_fast.data.engine_table import OpenedStore
from vicregl_fast.devices import choose_device
from vicregl_fast.draws import HOLDING_OUT_EPOCH
from vicregl_fast.evaluation.classification.config import LinearConfig
from vicregl_fast.evaluation.classification.crop_feed import CentreCropFeed, CropFeeds
from vicregl_fast.evaluation.classification.feature_epochs import FeatureEpochs
from vicregl_fast.evaluation.classification.features import pooled_of
from vicregl_fast.evaluation.classification.labels import batchnorm_sample, majority_accuracy, matched_labels
from vicregl_fast.evaluation.classification.linear_heads import LinearHeads
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.philox import permutation

HELD_OUT = 0.1
"""Share of the training images on which a learning rate is chosen."""


class LinearJudge:
    """Judges a backbone by the accuracy of a linear classifier on its pooled features.

    Several learning rates are trained at once. The one that is best on images held out of the training images is taken;
    the test images have no say.

    Args:
        train, test: images with labels.
        config: how the classifiers are trained.

    Raises:
        UserError: images have no labels, the test images have a class of their own, or there are too few images.
    """

    def __init__(self, train: OpenedStore, test: OpenedStore, config: LinearConfig):
        self._train_labels, self._test_labels = matched_labels(train.store, test.store)
        self._config, self._device = config, choose_device()
        order = permutation(config.seed, HOLDING_OUT_EPOCH, len(train.store))
        held = int(len(order) * HELD_OUT) if len(config.lr) > 1 else 0
        if len(config.lr) > 1 and held == 0:
            raise UserError(f"{train.store.path} has too few images to hold some out: give one --lr")
        self._held_out, self._learned = order[:held], np.sort(order[held:])
        feeds = CropFeeds(config.size, config.seed, config.batch_size, config.workers, self._device)
        self._random, self._train, self._test = feeds.random(train), feeds.centre(train), feeds.centre(test)

    def training_images(self) -> Iterator[Tensor]:
        """Centre crops of at most ``BATCHNORM_IMAGES`` training images, float32 [batch, 3, size, size] at a time."""
        order = batchnorm_sample(self._config.seed, len(self._train_labels))
        return self._train.batches(order)

    def figures(self, backbone: Backbone) -> dict[str, float]:
        """The accuracy on the test images in percent."""
        heads = self._fit(backbone)
        right_l = self._right(backbone, heads, self._test, np.arange(len(self._test_labels)), self._test_labels)
        chosen = self._choose(backbone, heads)
        return {"accuracy": 100 * right_l[chosen].item() / len(self._test_labels)}

    def majority_figures(self) -> dict[str, float]:
        """The accuracy in percent of always answering the commonest training class."""
        return {"accuracy": majority_accuracy(self._train_labels, self._test_labels)}

    def _fit(self, backbone: Backbone) -> LinearHeads:
        config, classes = self._config, int(self._train_labels.max()) + 1
        rates = config.rates(backbone.name)
        heads = LinearHeads(backbone.channels, classes, rates, config.epochs, self._device, config.seed)
        features = FeatureEpochs(backbone, self._random, self._learned, self._train_labels, config)
        for epoch in progress_bar(range(config.epochs), desc="linear", unit="epoch", leave=False):
            for features_bc, labels_b in features.epoch(epoch):
                heads.step(features_bc, labels_b, epoch)
        return heads

    def _choose(self, backbone: Backbone, heads: LinearHeads) -> int:
        """The number of the head that is best on the images held out."""
        if len(self._held_out) == 0:
            return 0
        right_l = self._right(backbone, heads, self._train, self._held_out, self._train_labels[self._held_out])
        chosen = int(right_l.argmax())
        note(
            f"of {len(right_l)} learning rates {self._config.rates(backbone.name)[chosen]:g} is taken, the best on "
            f"{len(self._held_out)} training images held out ({right_l[chosen].item() / len(self._held_out):.1%})"
        )
        return chosen

    @torch.inference_mode()
    def _right(
        self, backbone: Backbone, heads: LinearHeads, crops: CentreCropFeed, order: np.ndarray, labels_n: Tensor
    ) -> Tensor:
        right, first = [], 0
        for images in crops.batches(order):
            features = pooled_of(backbone, images)
            right.append(heads.correct(features, labels_n[first : first + len(images)].to(self._device)))
            first += len(images)
        return torch.stack(right).sum(0)
