"""k-NN classification of frozen features (Wu et al. 2018): the quickest test of what a backbone has learned.

Shape letters: n training images, m test images, c channels.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from dataprep.errors import UserError
from vicregl_fast.data.memory import free_memory
from vicregl_fast.devices import choose_device
from vicregl_fast.evaluation.chosen_images import ChosenImages
from vicregl_fast.evaluation.classification.config import KnnConfig
from vicregl_fast.evaluation.classification.crop_feed import CropFeeds
from vicregl_fast.evaluation.classification.features import pooled_features, try_crops
from vicregl_fast.evaluation.classification.labels import matched_labels, percent
from vicregl_fast.evaluation.report import Judgement
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.models.neighbours import Standardisation, Vote, knn_answers

COPIES = 3
"""Of the training features, at most, that are held at once: as computed, standardised, and of length 1."""


class KnnJudge:
    """Judges a backbone by the accuracy of k-NN classification, or by one for each k and each way to vote.

    Args:
        train, test: images with labels.
        config: how k-NN classifies.
        device: where the backbone is; None chooses one as the programs do.

    Raises:
        UserError: images have no labels, the two have no class in common, k is larger than the number of
            training images.
    """

    def __init__(self, train: ChosenImages, test: ChosenImages, config: KnnConfig, device: torch.device | None = None):
        self._labels = matched_labels(train, test)
        if config.k[-1] > len(train):
            raise UserError(f"--k is {config.k[-1]}, but there are only {len(train)} training images")
        self._device = device or choose_device()
        self._feeds = CropFeeds(config.size, config.batch_size, config.workers, self._device)
        self._train, self._test = self._feeds.centre(train.opened), self._feeds.centre(test.opened)
        ways = {"weighted": (True,), "plain": (False,), "both": (True, False)}[config.vote]
        self._votes = [Vote(k, weighted) for weighted in ways for k in config.k]

    @property
    def published(self) -> None:
        """The paper has no figures of k-NN."""
        return None

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
        """The accuracies on the test images in percent; nothing is drawn."""
        place = self._place(backbone.channels)
        labels = self._labels
        train_nc = pooled_features(backbone, self._train, labels.train_indices, place)
        test_tc = pooled_features(backbone, self._test, labels.test_indices, place)
        standardise = Standardisation.of(train_nc)
        train_nc, labels_n = standardise(train_nc), labels.train_n.to(place)
        answers = [each.cpu() for each in knn_answers(train_nc, labels_n, standardise(test_tc), self._votes)]
        return Judgement(self._named([percent(each == labels.test_t) for each in answers]), drew=False)

    def majority_figures(self) -> dict[str, float]:
        """The accuracy in percent of always answering the commonest training class."""
        return self._named([self._labels.majority_accuracy()] * len(self._votes))

    def _place(self, channels: int) -> torch.device:
        """Where features are compared: where they are computed, if they fit there, else on the CPU."""
        needed = 4 * channels * (COPIES * len(self._labels.train_indices) + 2 * len(self._labels.test_indices))
        return self._device if needed < free_memory(self._device) else choose_device("cpu")

    def _named(self, accuracies: list[float]) -> dict[str, float]:
        if len(self._votes) == 1:
            return {"accuracy": accuracies[0]}
        names = [f"k {vote.k}" if vote.weighted else f"k {vote.k} plain" for vote in self._votes]
        return dict(zip(names, accuracies, strict=True))
