"""Batches of augmented crops."""

from pathlib import Path

import pytest
import torch

from tests.evaluation.segmentation.test_linear_segmentation import write_masked
from tests.evaluation.stand_in import MeanColour
from vicregl_fast.evaluation.segmentation.augmentation import SegmentationAugmentation
from vicregl_fast.evaluation.segmentation.features import SegmentationFeatures
from vicregl_fast.evaluation.segmentation.labels import IGNORED
from vicregl_fast.evaluation.segmentation.map_batches import augmented_batches
from vicregl_fast.models.backbone import build_backbone
from vicregl_fast.models.config import BackboneConfig


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_are_the_maps_of_the_chosen_samples_crops(tmp_path: Path, workers: int) -> None:
    data, augmentation = write_masked(tmp_path, 5, seed=0), SegmentationAugmentation((24, 20), None, 0)
    backbone = MeanColour().eval()
    features = SegmentationFeatures(backbone, "last")
    batches = list(augmented_batches(features, data, [1, 3, 4], augmentation, 2, 4, workers))
    assert [maps.shape for ((maps, _),) in batches] == [(2, 3, 6, 5)] * 4
    found = [mask for ((_, masks),) in batches[:3] for mask in masks]  # two epochs of three samples
    crops = [augmentation(data[index], epoch, index).mask for epoch in range(2) for index in (1, 3, 4)]
    assert sorted(mask.flatten().tolist() for mask in found) == sorted(mask.flatten().tolist() for mask in crops)


@pytest.mark.parametrize("learns", [False, True])
def test_gradients_flow_into_a_backbone_that_learns_only(tmp_path: Path, learns: bool) -> None:
    data = write_masked(tmp_path, 2, seed=0)
    features = SegmentationFeatures(MeanColour().eval(), "last")
    batches = augmented_batches(
        features, data, [0, 1], SegmentationAugmentation((24, 20), None, 0), 2, 1, workers=0, learns=learns
    )
    ((maps, _),) = next(batches)
    assert maps.requires_grad == learns
    assert torch.is_grad_enabled()


def test_masks_cover_what_a_vit_s_padded_crops_do(tmp_path: Path) -> None:
    """Crops of 24×20 become 32×32, of which all beyond is ignored."""
    data = write_masked(tmp_path, 2, seed=0)
    features = SegmentationFeatures(build_backbone(BackboneConfig("test_vit")).eval(), "last")
    augmentation = SegmentationAugmentation((24, 20), None, 0)
    (((maps, masks),),) = augmented_batches(features, data, [0, 1], augmentation, 2, 1, workers=0)
    assert maps.shape[2:] == (2, 2) and masks.shape == (2, 32, 32)
    assert (masks[:, 24:] == IGNORED).all() and (masks[:, :, 20:] == IGNORED).all()
    assert (masks[:, :24, :20] != IGNORED).any()
