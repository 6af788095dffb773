"""Linear segmentation: how the paper judges local features (docs/method.md, Evaluation)."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from dataprep.errors import UserError
from dataprep.notes import note
from dataprep.progress import progress_bar
from vicregl_fast.augment.normalisation import normalise_bytes
from vicregl_fast.draws import HOLDING_OUT_EPOCH
from vicregl_fast.evaluation.paper import Task
from vicregl_fast.evaluation.report import Judgement
from vicregl_fast.evaluation.segmentation.augmentation import SegmentationAugmentation
from vicregl_fast.evaluation.segmentation.config import DatasetName, SegmentationConfig
from vicregl_fast.evaluation.segmentation.features import SegmentationFeatures
from vicregl_fast.evaluation.segmentation.inference import CellClassifier, logits_of, segment
from vicregl_fast.evaluation.segmentation.linear_head import LinearHead, drawn_heads, resize_logits, train_heads
from vicregl_fast.evaluation.segmentation.map_batches import Batch, augmented_batches, same_size_batches, whole_images
from vicregl_fast.evaluation.segmentation.map_cache import CachedMaps
from vicregl_fast.evaluation.segmentation.masked_images import MaskedImages, class_pixels
from vicregl_fast.evaluation.segmentation.protocol import Protocol, protocol_of
from vicregl_fast.evaluation.segmentation.score import SegmentationScore, majority_figures
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.philox import permutation

BATCHNORM_IMAGES = 64
"""Number of training images, at most, on which an untrained network's BatchNorm statistics are re-estimated."""
HELD_OUT = 0.1
"""Share of the training images on which a learning rate is chosen."""


class SegmentationJudge:
    """Judges a backbone by how well a linear head on its feature maps segments images.

    Several learning rates are trained at once. The one that is best on images held out of the training images is taken;
    the validation images have no say.

    Args:
        train, val: images with masks. All are read once, so that a bad one is reported before any training.
        config: how the heads are trained.
        dataset: the name of the data set, which decides settings that ``config`` leaves open; None for any folders.
        finetune: whether the backbone is trained, too.

    Raises:
        UserError: settings do not go together, an image or mask is bad, fewer than two classes occur in the masks of
            one side, or there are too few images to hold some out.
    """

    def __init__(
        self,
        train: MaskedImages,
        val: MaskedImages,
        config: SegmentationConfig,
        dataset: DatasetName | None = None,
        finetune: bool = False,
    ):
        self._train, self._val, self._config = train, val, config
        self._dataset, self._finetune = dataset, finetune
        self._protocol("")  # refuses what does not go together, whatever the backbone
        self._held_count = int(len(train) * HELD_OUT) if len(config.lr) > 1 else 0
        if len(config.lr) > 1 and self._held_count == 0:
            raise UserError(f"{train.named} has too few masks to hold some out: give one --lr")
        self._train_pixels, self._val_pixels = (class_pixels(data, config.workers) for data in (train, val))

    @property
    def follows_paper(self) -> bool:
        """Whether no setting differs from those of the published protocol."""
        published = SegmentationConfig("published")
        return all(
            self._protocol(name) == protocol_of(published, name, self._dataset, self._finetune)
            for name in ("resnet50", "convnext_small")
        )

    @property
    def task(self) -> Task | None:
        """By the name of the data set."""
        return task_of(self._dataset, self._finetune)

    def training_images(self, seed: int) -> Iterator[Tensor]:
        """At most ``BATCHNORM_IMAGES`` whole training images, float32 [b, 3, H, W], in batches of one size."""
        config = self._config
        chosen = permutation(seed, 0, len(self._train))[:BATCHNORM_IMAGES].tolist()
        base_size = self._protocol("").base_size
        images = [item.pixels for item in whole_images(self._train, config.workers, chosen, base_size)]
        for batch in same_size_batches([image.shape for image in images], 8, range(len(images))):
            yield normalise_bytes(torch.stack([images[index] for index in batch]))

    def judge(self, backbone: Backbone, seed: int) -> Judgement:
        """mIoU, pixel accuracy and each class's IoU on the validation images, in percent.

        If it is fine-tuned, the backbone is changed.
        """
        protocol = self._protocol(backbone.name)
        note(f"{backbone.name}: {protocol}", once=True)
        order = permutation(seed, HOLDING_OUT_EPOCH, len(self._train)).tolist()
        held_out, learned = order[: self._held_count], sorted(order[self._held_count :])
        features = SegmentationFeatures(backbone, protocol.features)
        heads = fit_heads(features, self._train, learned, self._config, protocol, seed)
        chosen = self._choose(features, heads, held_out, protocol)
        head = heads[chosen]
        (score,) = score_heads(features, [head], self._val, range(len(self._val)), self._config.workers, protocol)
        return Judgement(score.figures(), {"protocol": str(protocol), "lr": protocol.rates[chosen]})

    def majority_figures(self) -> dict[str, float]:
        """The same figures of predicting the commonest training class everywhere."""
        return majority_figures(self._train_pixels, self._val_pixels, self._val.labels)

    def _protocol(self, backbone: str) -> Protocol:
        return protocol_of(self._config, backbone, self._dataset, self._finetune)

    def _choose(
        self, features: SegmentationFeatures, heads: list[LinearHead], held_out: list[int], protocol: Protocol
    ) -> int:
        """The number of the head that is best on the images held out."""
        if not held_out:
            return 0
        scores = score_heads(features, heads, self._train, held_out, self._config.workers, protocol)
        found = [score.figures()["mIoU"] for score in scores]
        chosen = found.index(max(found))
        note(
            f"of {len(heads)} learning rates {protocol.rates[chosen]:g} is taken, the best on {len(held_out)} training "
            f"images held out (mIoU {found[chosen]:.1f}%)"
        )
        return chosen


def task_of(dataset: DatasetName | None, finetune: bool) -> Task | None:
    """The column of the paper's tables."""
    if finetune:
        return "voc12aug fine-tuned" if dataset == "voc12aug" else None
    return dataset


def fit_heads(
    features: SegmentationFeatures,
    train: MaskedImages,
    learned: Sequence[int],
    config: SegmentationConfig,
    protocol: Protocol,
    seed: int,
) -> list[LinearHead]:
    """Trains a head for each learning rate on the ``learned`` images; returns them in eval mode on that device."""
    batches: Iterator[Batch]
    if protocol.cached:
        maps = CachedMaps(features, train, learned, protocol.base_size, config.workers, config.cache_folder)
        batches = maps.batches(protocol.batch_size, protocol.iterations, seed)
    else:
        batches = augmented_batches(
            features,
            train,
            learned,
            SegmentationAugmentation(protocol.crop, protocol.base_size, seed),
            protocol.batch_size,
            protocol.iterations,
            config.workers,
            learns=protocol.finetune,
        )
    heads = drawn_heads(features.channels, train.labels.classes, len(protocol.rates), seed)
    for head in heads:
        head.to(features.device)
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # of the backbone's drop path
        train_heads(heads, batches, protocol, seed, features.backbone if protocol.finetune else None)
    return heads


@torch.inference_mode()
def score_heads(
    features: SegmentationFeatures,
    heads: Sequence[CellClassifier],
    data: MaskedImages,
    chosen: Sequence[int],
    workers: int,
    protocol: Protocol,
) -> list[SegmentationScore]:
    """Segments images, at the size of their masks, with each head; returns the heads' scores."""
    scores = [SegmentationScore(data.labels) for _ in heads]
    logits = logits_of(features, heads)
    images = whole_images(data, workers, chosen, protocol.base_size)
    for item in progress_bar(images, desc="segmentation", total=len(chosen), leave=False):
        found = segment(logits, item.pixels, protocol.window, protocol.stride)
        if found.shape[2:] != item.mask.shape:
            found = resize_logits(found, item.mask.shape)  # type: ignore[arg-type]
        for score, each in zip(scores, found.chunk(len(heads), 1), strict=True):
            score.update(each.argmax(1), item.mask[None])
    return scores
