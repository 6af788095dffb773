"""k-NN classification of frozen features (Wu et al. 2018), the first look at what a backbone has learned.

Shape letters: n training images, m test images, k neighbours, C channels.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import normalize

from dataprep.errors import UserError
from vicregl_fast.data.store import Images
from vicregl_fast.evaluation.classification.config import KnnConfig
from vicregl_fast.evaluation.classification.features import CentreCrops, Standardisation, pooled_features
from vicregl_fast.evaluation.loading import chunks, read_batches
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.philox import permutation

TEMPERATURE = 0.07
"""Wu et al.'s: a neighbour of cosine s votes with weight exp(s / 0.07)."""
BATCHNORM_IMAGES = 256
"""Training images on which an untrained network's BatchNorm statistics are re-estimated."""


class KnnJudge:
    """Judges by the accuracy of k-NN.

    Args:
        train, test: images with labels.
        config: how to compare.

    Raises:
        UserError: the two sides' classes differ, k is above n, or the crop does not fit.
    """

    def __init__(self, train: Images, test: Images, config: KnnConfig):
        self._train_labels, self._test_labels = _labels(train), _labels(test)
        _check_same_classes(train, test)
        if config.k > len(train):
            raise UserError(f"--k is {config.k}, but there are only {len(train)} training images")
        self._train, self._test = (CentreCrops(images, config.resize, config.size) for images in (train, test))
        self._config = config

    def training_images(self) -> Iterator[Tensor]:
        """Batches of some training images' centre crops."""
        config = self._config
        sample = permutation(config.seed, 0, len(self._train))[:BATCHNORM_IMAGES].tolist()
        return read_batches(self._train, chunks(sample, config.batch_size), config.workers)

    def figures(self, backbone: Backbone) -> dict[str, float]:
        """The accuracy in percent."""
        config = self._config
        train_nc, test_mc = (
            pooled_features(backbone, crops, range(len(crops)), config.batch_size, config.workers)
            for crops in (self._train, self._test)
        )
        standardise = Standardisation.of(train_nc)
        answers = knn_classify(standardise(train_nc), self._train_labels, standardise(test_mc), config.k)
        return {"accuracy": _percent(answers == self._test_labels)}

    def majority_figures(self) -> dict[str, float]:
        """The accuracy of always answering the commonest training class."""
        commonest = self._train_labels.bincount().argmax()
        return {"accuracy": _percent(self._test_labels == commonest)}


def knn_classify(train_nc: Tensor, labels_n: Tensor, test_mc: Tensor, k: int, chunk: int = 1024) -> Tensor:
    """The class, int64 [m], for which the k training features of largest cosine vote, as exp(cosine / 0.07).

    Of classes with equal votes the lower wins. ``chunk`` test features at a time bound the memory.
    """
    train_nc = normalize(train_nc)
    classes = int(labels_n.max()) + 1
    answers = []
    for part_mc in normalize(test_mc).split(chunk):
        cosines_mk, neighbours_mk = (part_mc @ train_nc.T).topk(k)
        # Subtracting each row's best changes no vote and keeps exp from growing large.
        weights_mk = ((cosines_mk - cosines_mk[:, :1]) / TEMPERATURE).exp()
        votes = weights_mk.new_zeros(len(part_mc), classes).scatter_add_(1, labels_n[neighbours_mk], weights_mk)
        answers.append(votes.argmax(1))
    return torch.cat(answers)


def _labels(images: Images) -> Tensor:
    if images.labels is None:
        raise UserError(f"{images.path} has no labels: k-NN needs class folders, or a store made of them")
    return torch.from_numpy(images.labels)


def _check_same_classes(train: Images, test: Images) -> None:
    """Class numbers come from sorted names, so both sides must have the same names."""
    if train.classes is None or test.classes is None or train.classes == test.classes:
        return
    odd = sorted(set(train.classes) ^ set(test.classes))[0]
    has, lacks = (train, test) if odd in train.classes else (test, train)
    raise UserError(f"{has.path} has the class {odd!r}, which {lacks.path} lacks: give both the same classes")


def _percent(correct_m: Tensor) -> float:
    return 100 * correct_m.double().mean().item()
