"""Linear segmentation: how the paper judges local features (docs/method.md, Evaluation)."""

from collections.abc import Iterator, Sequence

import torch

from dataprep.notes import note
from vicregl_fast.evaluation.held_out import HeldOut, all_finite, best_rate, finite_rates
from vicregl_fast.evaluation.paper import PaperColumn, Task
from vicregl_fast.evaluation.report import Judgement
from vicregl_fast.evaluation.segmentation.augmentation import SegmentationAugmentation
from vicregl_fast.evaluation.segmentation.config import DatasetName, SegmentationConfig
from vicregl_fast.evaluation.segmentation.features import SegmentationFeatures
from vicregl_fast.evaluation.segmentation.linear_head import LinearHead, check_cells, drawn_heads, train_heads
from vicregl_fast.evaluation.segmentation.map_batches import Batch, augmented_batches
from vicregl_fast.evaluation.segmentation.map_cache import CachedMaps
from vicregl_fast.evaluation.segmentation.masked_images import MaskedImages
from vicregl_fast.evaluation.segmentation.pixel_judge import PixelJudge, score_heads
from vicregl_fast.evaluation.segmentation.protocol import Protocol, protocol_of
from vicregl_fast.evaluation.segmentation.score import SegmentationScore
from vicregl_fast.models.backbone import Backbone


class SegmentationJudge(PixelJudge):
    """Judges a backbone by how well a linear head on its feature maps segments images.

    Several learning rates are trained at once. The one that is best on images held out of the training images is taken;
    the validation images have no say.

    Args:
        train, val: images with masks. All are read once, so that a bad one is reported before any training.
        config: how the heads are trained.
        dataset: the name of the data set, which decides settings that ``config`` leaves open; None for any folders.
        finetune: whether the backbone is trained, too.
        output_stride: what was asked for in the place of the protocol's; None for that.

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
        output_stride: int | None = None,
    ):
        self._config, self._dataset, self._finetune = config, dataset, finetune
        self._stride = output_stride
        base_size = self._protocol("").base_size  # refuses what does not go together, whatever the backbone
        self._held_out = HeldOut(len(train), len(config.lr), train.named)
        super().__init__(train, val, config.workers, base_size)

    @property
    def published(self) -> PaperColumn | None:
        """By the name of the data set; the protocol is the same if no setting differs from it."""
        task = task_of(self._dataset, self._finetune)
        paper_settings = SegmentationConfig("published")
        return task and PaperColumn(
            task,
            self._stride is None
            and all(
                self._protocol(name) == protocol_of(paper_settings, name, self._dataset, self._finetune)
                for name in ("resnet50", "convnext_small")
            ),
        )

    @torch.no_grad()
    def try_out(self, backbone: Backbone) -> None:
        """Lets a backbone see the smallest images, and a crop if there are crops.

        Raises:
            UserError: it does not take one of them, or a step of training would have a single cell.
        """
        protocol = self._protocol(backbone.name)
        features = SegmentationFeatures(backbone, protocol.features)
        if not protocol.cached:
            cells = features(torch.zeros(1, 3, *protocol.crop, dtype=torch.uint8)).shape[2:].numel()
            check_cells(cells * protocol.batch_size)
        self._try_smallest(features, protocol.cached, protocol.window)

    def judge(self, backbone: Backbone, seed: int) -> Judgement:
        """mIoU, pixel accuracy and each class's IoU on the validation images, in percent.

        If it is fine-tuned, the backbone is changed.
        """
        protocol = self._protocol(backbone.name)
        said = f"{protocol}; the output stride is {backbone.stride()}"
        note(f"{backbone.name}: {said}", once=True)
        self.try_out(backbone)
        held_out, learned = (indices.tolist() for indices in self._held_out.split(seed))
        features = SegmentationFeatures(backbone, protocol.features)
        heads = fit_heads(features, self._train, learned, self._config, protocol, seed)
        chosen = self._choose(features, heads, held_out, protocol)
        (score,) = self._score(features, [heads[chosen]], self._val, range(len(self._val)), protocol)
        return Judgement(score.figures(), {"protocol": said, "lr": protocol.rates[chosen]})

    def _protocol(self, backbone: str) -> Protocol:
        return protocol_of(self._config, backbone, self._dataset, self._finetune)

    def _score(
        self,
        features: SegmentationFeatures,
        heads: Sequence[LinearHead],
        data: MaskedImages,
        chosen: Sequence[int],
        protocol: Protocol,
    ) -> list[SegmentationScore]:
        sizes = protocol.base_size, protocol.window, protocol.stride
        return score_heads(features, heads, data, chosen, self._workers, *sizes)

    def _choose(
        self, features: SegmentationFeatures, heads: list[LinearHead], held_out: list[int], protocol: Protocol
    ) -> int:
        """The number of the head that is best on the images held out, of those that are finite."""
        learned = list(features.backbone.state_dict().values()) if protocol.finetune else []
        finite = finite_rates([all_finite([*head.state_dict().values(), *learned]) for head in heads], protocol.rates)
        if not held_out or len(finite) == 1:
            return finite[0]
        scores = self._score(features, [heads[k] for k in finite], self._train, held_out, protocol)
        figures, rates = [score.figures()["mIoU"] for score in scores], [protocol.rates[k] for k in finite]
        return finite[best_rate(figures, rates, len(held_out), "mIoU")]


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
    """Trains a head for each learning rate on the ``learned`` images; returns them in eval mode on that device.

    Raises:
        UserError: an image is bad, or the backbone takes none of this size.
    """
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
