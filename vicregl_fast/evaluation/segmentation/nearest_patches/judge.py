"""k-NN segmentation: how well the cells of one class lie together, without any training.

Shape letters: b samples, C channels, h×w cells, H×W pixels of the mask.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dataprep.errors import UserError
from vicregl_fast.evaluation.report import Judgement
from vicregl_fast.evaluation.segmentation.features import SegmentationFeatures
from vicregl_fast.evaluation.segmentation.masked_images import MaskedImages
from vicregl_fast.evaluation.segmentation.nearest_patches.cells import draw_cells
from vicregl_fast.evaluation.segmentation.nearest_patches.config import NearestPatchesConfig
from vicregl_fast.evaluation.segmentation.pixel_judge import PixelJudge, score_heads
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.models.neighbours import Bank, Standardisation, Vote


class NearestPatches:
    """Classifies the cells of maps by their nearest training cells (Wu et al. 2018).

    Channels are standardised by the training cells, since a few large ones would decide all cosines.

    Args:
        features_nc: training cells, float32 [n, C].
        labels_n: their classes, int64 [n], on the same device.
        classes: number of classes.
        k: how many vote.

    Attributes:
        cells: how many there are.
    """

    def __init__(self, features_nc: Tensor, labels_n: Tensor, classes: int, k: int):
        self.cells = len(labels_n)
        self._standardise = Standardisation.of(features_nc)
        self._bank = Bank(self._standardise(features_nc), labels_n, classes)
        self._vote = Vote(k)

    def __call__(self, maps: Tensor) -> Tensor:
        """The share that each class has of each cell's vote, [b, classes, h, w], of maps float32 [b, C, h, w]."""
        cells = maps.permute(0, 2, 3, 1)
        shares = self._bank.shares(self._standardise(cells.flatten(0, 2)), self._vote)
        return shares.unflatten(0, cells.shape[:3]).permute(0, 3, 1, 2)


class NearestPatchesJudge(PixelJudge):
    """Judges a backbone by the segmentation of validation images by the nearest cells of training images.

    Votes of cells are resized bilinearly to the mask's size, as the logits of linear segmentation are. All images are
    taken whole.

    Args:
        train, val: images with masks. All are read once, so that a bad one is reported before the work.
        config: how cells are classified.

    Raises:
        UserError: an image or mask is bad, or fewer than two classes occur in the masks of one side.
    """

    def __init__(self, train: MaskedImages, val: MaskedImages, config: NearestPatchesConfig):
        super().__init__(train, val, config.workers)
        self._config = config

    @property
    def published(self) -> None:
        """The paper has no figures of k-NN."""
        return None

    def try_out(self, backbone: Backbone) -> None:
        """Lets a backbone see the smallest images.

        Raises:
            UserError: it does not take one of them.
        """
        self._try_smallest(SegmentationFeatures(backbone, "last"), train=True)

    @torch.inference_mode()
    def judge(self, backbone: Backbone, seed: int) -> Judgement:
        """The figures of linear segmentation; ``seed`` draws training cells, if there are too many."""
        self.try_out(backbone)
        features = SegmentationFeatures(backbone, "last")
        patches = nearest_patches(features, self._train, range(len(self._train)), self._config, seed)
        (score,) = score_heads(features, [patches], self._val, range(len(self._val)), self._workers)
        return Judgement(score.figures(), drew=patches.cells >= self._config.bank)


@torch.no_grad()
def nearest_patches(
    features: SegmentationFeatures,
    train: MaskedImages,
    chosen: Sequence[int],
    config: NearestPatchesConfig,
    seed: int,
) -> NearestPatches:
    """Takes the cells of training images, on the backbone's device, to classify others by; ``seed`` draws them.

    Raises:
        UserError: an image or mask is bad, or fewer training cells than ``config.k`` have a class.
    """
    cells_nc, labels_n = draw_cells(features, train, chosen, config.bank, seed, config.workers)
    if config.k > len(labels_n):
        raise UserError(f"--k is {config.k}, but only {len(labels_n)} training cells have a class: lower it")
    device = features.device
    return NearestPatches(cells_nc.to(device), labels_n.to(device), train.labels.classes, config.k)
