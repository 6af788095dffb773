"""k-NN classification of frozen features (Wu et al. 2018), the first look at what a backbone has learned.

Shape letters: n training images, m test images, k neighbours, C channels.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from dataprep.errors import UserError
from vicregl_fast.evaluation.batchnorm import reestimate_batchnorm
from vicregl_fast.evaluation.candidates import Candidate
from vicregl_fast.evaluation.features import CentreCrops, Standardisation, pooled_features
from vicregl_fast.evaluation.loading import chunks, default_workers, read_batches
from vicregl_fast.evaluation.options import check_at_least, option
from vicregl_fast.evaluation.report import Row
from vicregl_fast.evaluation.stored_images import StoredImages
from vicregl_fast.philox import permutation
from vicregl_fast.seeds import check_seed

TEMPERATURE = 0.07
"""Wu et al.'s: a neighbour of cosine s votes with weight exp(s / 0.07)."""
BATCHNORM_IMAGES = 256
"""Training images on which an untrained network's BatchNorm statistics are re-estimated."""


@dataclass(frozen=True)
class KnnConfig:
    """How to compare."""

    k: int = option(10, "neighbours that vote")
    resize: int = option(128, "pixels of the short side before the centre crop")
    size: int = option(112, "pixels of a side of the centre crop")
    batch_size: int = option(128, "images a forward pass")
    seed: int = option(0, "of the untrained network, and of the images for its BatchNorm")
    workers: int = option(default_workers(), "processes that decode images")

    def __post_init__(self) -> None:
        check_at_least("--k", self.k, 1)
        check_at_least("--batch-size", self.batch_size, 1)
        check_at_least("--workers", self.workers, 0)
        check_seed(self.seed)


def evaluate_knn(
    candidates: Iterable[Candidate], train: StoredImages, test: StoredImages, config: KnnConfig
) -> list[Row]:
    """The accuracy of each candidate in percent, and that of always answering the commonest training class.

    Raises:
        UserError: the two sides' classes differ, k is above n, the crop does not fit, or an image is bad.
    """
    train_labels, test_labels = _labels(train), _labels(test)
    _check_same_classes(train, test)
    if config.k > len(train):
        raise UserError(f"--k is {config.k}, but there are only {len(train)} training images")
    train_crops, test_crops = (CentreCrops(images, config.resize, config.size) for images in (train, test))
    rows = []
    for candidate in candidates:
        if not candidate.trained:
            sample = permutation(config.seed, 0, len(train))[:BATCHNORM_IMAGES].tolist()
            batches = read_batches(train_crops, chunks(sample, config.batch_size), config.workers)
            reestimate_batchnorm(candidate.backbone, batches)
        features = [
            pooled_features(candidate.backbone, crops, range(len(crops)), config.batch_size, config.workers)
            for crops in (train_crops, test_crops)
        ]
        standardise = Standardisation.of(features[0])
        answers = knn_classify(standardise(features[0]), train_labels, standardise(features[1]), config.k)
        rows.append(Row(candidate.name, {"accuracy": _percent(answers == test_labels)}))
    commonest = train_labels.bincount().argmax()
    return [*rows, Row("majority class", {"accuracy": _percent(test_labels == commonest)})]


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


def _labels(images: StoredImages) -> Tensor:
    if images.labels is None:
        raise UserError(f"{images.path} has no labels: k-NN needs class folders, or a store made of them")
    return images.labels


def _check_same_classes(train: StoredImages, test: StoredImages) -> None:
    """Class numbers come from sorted names, so both sides must have the same names."""
    if train.classes is None or test.classes is None or train.classes == test.classes:
        return
    odd = sorted(set(train.classes) ^ set(test.classes))[0]
    has, lacks = (train, test) if odd in train.classes else (test, train)
    raise UserError(f"{has.path} has the class {odd!r}, which {lacks.path} lacks: give both the same classes")


def _percent(correct_m: Tensor) -> float:
    return 100 * correct_m.double().mean().item()
