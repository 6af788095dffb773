"""Linear classification of frozen features: how the paper judges pooled features (docs/method.md, Evaluation)."""

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from dataprep.progress import progress_bar
from vicregl_fast.devices import choose_device
from vicregl_fast.evaluation.chosen_images import ChosenImages
from vicregl_fast.evaluation.classification.config import LinearConfig
from vicregl_fast.evaluation.classification.crop_feed import CropFeeds
from vicregl_fast.evaluation.classification.feature_epochs import FeatureBatch, FeatureEpochs, labelled_crops
from vicregl_fast.evaluation.classification.features import pooled_features, try_crops
from vicregl_fast.evaluation.classification.fine_tuning import FineTuning
from vicregl_fast.evaluation.classification.labels import matched_labels
from vicregl_fast.evaluation.classification.linear_heads import LinearHeads
from vicregl_fast.evaluation.held_out import HeldOut, best_rate, finite_rates
from vicregl_fast.evaluation.paper import PaperColumn
from vicregl_fast.evaluation.report import Judgement
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.philox import permutation

IMAGENET_CLASSES = 1000
_WNID = re.compile(r"n\d{8}")


def is_imagenet(classes: Sequence[str] | None) -> bool:
    """Whether these are as many classes as ImageNet has, all called by WordNet's numbers of nouns."""
    return classes is not None and len(classes) == IMAGENET_CLASSES and all(map(_WNID.fullmatch, classes))


class Classifier(Protocol):
    """One or several classifiers of pooled features."""

    def correct(self, features_bc: Tensor, labels_b: Tensor) -> Tensor:
        """How many of these samples each gets right, int64 [l]."""
        ...

    def finite(self) -> list[bool]:
        """Whether the weights of each are finite."""
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
        UserError: images have no labels, the two have no class in common, there are too few images, or, with
            fine-tuning, a test image does not decode.
    """

    def __init__(
        self, train: ChosenImages, test: ChosenImages, config: LinearConfig, device: torch.device | None = None
    ):
        self._labels = matched_labels(train, test)
        self._config, self._device = config, device or choose_device()
        self._held_out = HeldOut(len(train), len(config.lr), train.store.path)
        self._feeds = CropFeeds(config.size, config.batch_size, config.workers, self._device)
        self._opened = train.opened
        self._of_imagenet = train.complete and is_imagenet(train.store.classes)
        self._train, self._test = self._feeds.centre(train.opened), self._feeds.centre(test.opened)
        if config.finetune:
            self._check_test_images()

    @property
    def published(self) -> PaperColumn | None:
        """Of all of ImageNet, known by its classes, frozen. The protocol is another: it resizes crops bilinearly."""
        if not self._of_imagenet or self._config.finetune:
            return None
        return PaperColumn("imagenet", same_protocol=False)

    @property
    def details(self) -> Sequence[str]:
        """The figures have none."""
        return ()

    def training_images(self, seed: int) -> Iterator[Tensor]:
        """Centre crops of at most ``BATCHNORM_IMAGES`` training images, float32 [batch, 3, size, size] at a time."""
        return (images for _, images in self._train.batches(self._labels.batchnorm_sample(seed)))

    def try_out(self, backbone: Backbone) -> None:
        """Lets a backbone see an empty crop of the size that is judged by."""
        try_crops(backbone, self._feeds)

    def judge(self, backbone: Backbone, seed: int) -> Judgement:
        """The accuracy on the test images in percent, and the learning rate that was taken."""
        config = self._config
        held_out, learned = (self._labels.train_indices[places] for places in self._held_out.split(seed))
        if config.finetune:
            heads = self._fine_tune(backbone, learned, seed)
            tried, tested = self._judged_by(backbone, held_out)
        else:  # of a frozen backbone first, so that a bad image is found before the heads are trained
            tried, tested = self._judged_by(backbone, held_out)
            heads = self._fit(backbone, learned, seed)
        chosen = self._choose(heads, tried, config.rates(backbone.name))
        settings = {"lr": config.rates(backbone.name)[chosen], "computed_epochs": config.computed}
        return Judgement({"accuracy": self._accuracies(heads, tested)[chosen]}, settings)

    def majority_figures(self) -> dict[str, float]:
        """The accuracy in percent of always answering the commonest training class."""
        return {"accuracy": self._labels.majority_accuracy()}

    def _check_test_images(self) -> None:
        """Decodes them once, since fine-tuning looks at them only after its work."""
        for _ in self._test.batches(self._labels.test_indices):
            pass

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

    def _judged_by(self, backbone: Backbone, held_out: np.ndarray) -> tuple[FeatureBatch, FeatureBatch]:
        """Features and labels of the images held out, and of the test images, on the backbone's device."""
        sides = (self._train, held_out, self._labels.train), (self._test, self._labels.test_indices, self._labels.test)
        tried, tested = (
            (
                pooled_features(backbone, crops, chosen, self._device),
                labels[torch.from_numpy(chosen)].to(self._device),
            )
            for crops, chosen, labels in sides
        )
        return tried, tested

    def _choose(self, heads: Classifier, tried: FeatureBatch, rates: Sequence[float]) -> int:
        """The number of the head that is best on the images held out, of those that are finite."""
        finite, held_out = finite_rates(heads.finite(), rates), len(tried[1])
        if held_out == 0 or len(finite) == 1:
            return finite[0]
        accuracies = self._accuracies(heads, tried)
        best = best_rate([accuracies[k] for k in finite], [rates[k] for k in finite], held_out, "accuracy")
        return finite[best]

    @torch.inference_mode()
    def _accuracies(self, heads: Classifier, judged: FeatureBatch) -> list[float]:
        """Of each head, in percent."""
        batches = zip(*(each.split(self._config.batch_size) for each in judged), strict=True)
        right_l = torch.stack([heads.correct(features_bc, labels_b) for features_bc, labels_b in batches]).sum(0)
        return (100 * right_l / len(judged[1])).tolist()
