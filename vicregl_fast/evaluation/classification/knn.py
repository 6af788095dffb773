"""k-NN classification of frozen features (Wu et al. 2018): the quickest test of what a backbone has learned.

Shape letters: n training images, m test images, c channels.
"""

from collections.abc import Iterator

from torch import Tensor

from dataprep.errors import UserError
from vicregl_fast.data.store import Images
from vicregl_fast.evaluation.classification.config import KnnConfig
from vicregl_fast.evaluation.classification.features import CentreCrops, pooled_features
from vicregl_fast.evaluation.classification.labels import batchnorm_sample, majority_accuracy, matched_labels, percent
from vicregl_fast.evaluation.loading import chunks, read_batches
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.models.neighbours import Standardisation, Vote, knn_answers


class KnnJudge:
    """Judges a backbone by the accuracy of k-NN classification, or by one for each k and each way to vote.

    Args:
        train, test: images with labels.
        config: how k-NN classifies.

    Raises:
        UserError: images have no labels, the test images have a class of their own, k is larger than the number of
            training images, or the crop does not fit.
    """

    def __init__(self, train: Images, test: Images, config: KnnConfig):
        self._train_labels, self._test_labels = matched_labels(train, test)
        if config.k[-1] > len(train):
            raise UserError(f"--k is {config.k[-1]}, but there are only {len(train)} training images")
        self._train, self._test = (CentreCrops(images, config.resize, config.size) for images in (train, test))
        self._config = config
        ways = {"weighted": (True,), "plain": (False,), "both": (True, False)}[config.vote]
        self._votes = [Vote(k, weighted) for weighted in ways for k in config.k]

    @property
    def task(self) -> None:
        """The paper has no figures of k-NN."""
        return None

    def training_images(self, seed: int) -> Iterator[Tensor]:
        """Centre crops of at most ``BATCHNORM_IMAGES`` training images, float32 [batch, 3, size, size] at a time."""
        config = self._config
        sample = batchnorm_sample(seed, len(self._train)).tolist()
        return read_batches(self._train, chunks(sample, config.batch_size), config.workers)

    def figures(self, backbone: Backbone, seed: int) -> dict[str, float]:
        """The accuracies on the test images in percent."""
        config = self._config
        train_nc, test_mc = (
            pooled_features(backbone, crops, range(len(crops)), config.batch_size, config.workers)
            for crops in (self._train, self._test)
        )
        standardise = Standardisation.of(train_nc)
        answers = knn_answers(standardise(train_nc), self._train_labels, standardise(test_mc), self._votes)
        return self._named([percent(each == self._test_labels) for each in answers])

    def majority_figures(self) -> dict[str, float]:
        """The accuracy in percent of always answering the commonest training class."""
        accuracy = majority_accuracy(self._train_labels, self._test_labels)
        return self._named([accuracy] * len(self._votes))

    def _named(self, accuracies: list[float]) -> dict[str, float]:
        if len(self._votes) == 1:
            return {"accuracy": accuracies[0]}
        names = [f"k {vote.k}" if vote.weighted else f"k {vote.k} plain" for vote in self._votes]
        return dict(zip(names, accuracies, strict=True))
