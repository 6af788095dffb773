"""Linear classification of frozen features: how the paper judges pooled features (docs/method.md, Evaluation)."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from dataprep.progress import progress_bar
from vicregl_fast.devices import choose_device
from vicregl_fast.evaluation.chosen_images import ChosenImages
from vicregl_fast.evaluation.classification.config import LinearConfig
from vicregl_fast.evaluation.classification.crop_feed import CentreCropFeed, CropFeeds
from vicregl_fast.evaluation.classification.feature_epochs import FeatureEpochs, labelled_crops
from vicregl_fast.evaluation.classification.features import pooled_of
from vicregl_fast.evaluation.classification.fine_tuning import FineTuning
from vicregl_fast.evaluation.classification.labels import matched_labels
from vicregl_fast.evaluation.classification.linear_heads import LinearHeads
from vicregl_fast.evaluation.held_out import HeldOut, best_rate
from vicregl_fast.evaluation.paper import PaperColumn
from vicregl_fast.evaluation.report import Judgement
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.philox import permutation

IMAGENET_CLASSES = 1000


class Classifier(Protocol):
    """One or several classifiers of pooled features."""

    def correct(self, features_bc: Tensor, labels_b: Tensor) -> Tensor:
        """How many of these samples each gets right, int64 [l]."""
        ...


class LinearJudge:
    """Judges a backbone by the accuracy of a linear classifier on its pooled features.

    Several learning rates are trained at once. The one that is best on images held out of the training images is taken;
    the test images have no say.

    Args:
        train, test: images with labels.
        config: how the classifiers are trained.
        device: where the backbone is; None chooses one as the programs do.

    Raises:
        UserError: images have no labels, the two have no class in common, or there are too few images.
    """

    def __init__(
        self, train: ChosenImages, test: ChosenImages, config: LinearConfig, device: torch.device | None = None
    ):
        self._labels = matched_labels(train, test)
        self._config, self._device = config, device or choose_device()
        self._held_out = HeldOut(len(train), len(config.lr), train.store.path)
        self._feeds = CropFeeds(config.size, config.batch_size, config.workers, self._device)
        self._opened = train.opened
        self._train, self._test = self._feeds.centre(train.opened), self._feeds.centre(test.opened)

    @property
    def published(self) -> PaperColumn | None:
        """Of ImageNet, known by its number of classes, frozen. The protocol is another: it resizes crops bilinearly."""
        if self._labels.classes != IMAGENET_CLASSES or self._config.finetune:
            return None
        return PaperColumn("imagenet", same_protocol=False)

    @property
    def draws(self) -> bool:
        """Crops, order and heads."""
        return True

    def training_images(self, seed: int) -> Iterator[Tensor]:
        """Centre crops of at most ``BATCHNORM_IMAGES`` training images, float32 [batch, 3, size, size] at a time."""
        return (images for _, images in self._train.batches(self._labels.batchnorm_sample(seed)))

    def judge(self, backbone: Backbone, seed: int) -> Judgement:
        """The accuracy on the test images in percent, and the learning rate that was taken."""
        held_out, learned = (self._labels.train_indices[places] for places in self._held_out.split(seed))
        heads = (self._fine_tune if self._config.finetune else self._fit)(backbone, learned, seed)
        right_l = self._right(backbone, heads, self._test, self._labels.test_indices, self._labels.test)
        chosen = self._choose(backbone, heads, held_out)
        settings = {"lr": self._config.rates(backbone.name)[chosen], "computed_epochs": self._config.computed}
        return Judgement({"accuracy": 100 * right_l[chosen].item() / len(self._labels.test_indices)}, settings)

    def majority_figures(self) -> dict[str, float]:
        """The accuracy in percent of always answering the commonest training class."""
        return {"accuracy": self._labels.majority_accuracy()}

    def _fit(self, backbone: Backbone, learned: np.ndarray, seed: int) -> Classifier:
        config, rates = self._config, self._config.rates(backbone.name)
        heads = LinearHeads(backbone.channels, self._labels.classes, rates, config.epochs, self._device, seed)
        features = FeatureEpochs(
            backbone, self._feeds.random(self._opened, seed), learned, self._labels.train, config, seed
        )
        for epoch in progress_bar(range(config.epochs), desc="linear", unit="epoch", leave=False):
            for features_bc, labels_b in features.epoch(epoch):
                heads.step(features_bc, labels_b, epoch)
        return heads

    def _fine_tune(self, backbone: Backbone, learned: np.ndarray, seed: int) -> Classifier:
        config, crops = self._config, self._feeds.random(self._opened, seed)
        (rate,) = config.rates(backbone.name)
        tuning = FineTuning(backbone, self._labels.classes, rate, config.backbone_lr, config.epochs, seed)
        for epoch in progress_bar(range(config.epochs), desc="fine-tuning", unit="epoch", leave=False):
            # BatchNorm learns nothing of a last batch that is smaller, perhaps of one image: it is left out.
            full = max(len(learned) // config.batch_size * config.batch_size, min(len(learned), config.batch_size))
            order = learned[permutation(seed, epoch, len(learned))[:full]]
            tuning.epoch(labelled_crops(crops, order, self._labels.train, epoch), epoch)
        return tuning

    def _choose(self, backbone: Backbone, heads: Classifier, held_out: np.ndarray) -> int:
        """The number of the head that is best on the images held out."""
        if len(held_out) == 0:
            return 0
        right_l = self._right(backbone, heads, self._train, held_out, self._labels.train)
        accuracies = (100 * right_l / len(held_out)).tolist()
        return best_rate(accuracies, self._config.rates(backbone.name), len(held_out), "accuracy")

    @torch.inference_mode()
    def _right(
        self, backbone: Backbone, heads: Classifier, crops: CentreCropFeed, order: np.ndarray, labels: Tensor
    ) -> Tensor:
        right = [
            heads.correct(pooled_of(backbone, images), labels[torch.from_numpy(indices)].to(self._device))
            for indices, images in crops.batches(order)
        ]
        return torch.stack(right).sum(0)
