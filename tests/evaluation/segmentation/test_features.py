"""Maps of the last stage and of several, and images that patches do not tile."""

import pytest
import torch
from torch.nn.functional import interpolate

from vicregl_fast.augment.normalisation import normalise_bytes
from vicregl_fast.evaluation.segmentation.features import SegmentationFeatures, cover
from vicregl_fast.evaluation.segmentation.inference import segment
from vicregl_fast.evaluation.segmentation.labels import IGNORED
from vicregl_fast.evaluation.segmentation.linear_head import drawn_heads
from vicregl_fast.models.backbone import Backbone, build_backbone
from vicregl_fast.models.config import BackboneConfig


def drawn(name: str) -> Backbone:
    torch.manual_seed(0)
    return build_backbone(BackboneConfig(name)).eval()


def pixels(height: int, width: int) -> torch.Tensor:
    return torch.randint(256, (2, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_stages_are_timm_s_resized_to_the_first_and_concatenated() -> None:
    backbone = drawn("convnext_atto")
    features = SegmentationFeatures(backbone, "stages")
    maps = features(pixels(64, 96))
    assert features.channels == 40 + 80 + 160 + 320 and maps.shape == (2, 600, 16, 24)
    cells, expected = backbone.model.stem(normalise_bytes(pixels(64, 96))), []
    for stage in backbone.model.stages:
        cells = stage(cells)
        expected.append(interpolate(cells, (16, 24), mode="bilinear", align_corners=False))
    torch.testing.assert_close(maps, torch.cat(expected, 1))
    # The last one is raw: the map that is pooled is normed.
    last = SegmentationFeatures(backbone, "last")(pixels(64, 96))
    torch.testing.assert_close(last, backbone.model.norm_pre(cells))


@torch.no_grad()
@pytest.mark.parametrize("kind", ["last", "stages"])
def test_a_vit_sees_images_padded_to_whole_patches(kind: str) -> None:
    """Of 40×50 pixels: the map is that of 48×64, mean colour beyond the image, and logits are cut to 40×50."""
    features = SegmentationFeatures(drawn("test_vit"), kind)
    assert features.covered(40, 50) == (48, 64) and features.covered(32, 16) == (32, 16)
    images = cover(normalise_bytes(pixels(40, 50)), (48, 64), 0.0)
    maps = features(pixels(40, 50))
    assert maps.shape == (2, features.channels, 3, 4)
    if kind == "last":
        torch.testing.assert_close(maps, features.backbone(images).map)
    heads = [head.eval() for head in drawn_heads(features.channels, 3, 2, seed=0)]
    found = [torch.cat(each) for each in zip(*(segment(features, heads, one) for one in pixels(40, 50)), strict=True)]
    expected = interpolate(heads[0](maps), (48, 64), mode="bilinear", align_corners=False)[:, :, :40, :50]
    assert len(found) == 2
    for logits in found:
        torch.testing.assert_close(logits, expected)


def test_masks_are_covered_with_ignored_labels() -> None:
    mask = torch.ones(2, 3, dtype=torch.long)
    assert cover(mask, (3, 4)).tolist() == [[1, 1, 1, IGNORED], [1, 1, 1, IGNORED], [IGNORED] * 4]
    assert cover(mask, (2, 3)) is mask


@torch.no_grad()
def test_a_convolutional_network_sees_images_as_they_are() -> None:
    features = SegmentationFeatures(drawn("resnet18"), "last")
    assert features.covered(41, 50) == (41, 50)
    assert features(pixels(41, 50)).shape == (2, 512, 2, 2)
