"""Maps of several stages, and the sides of patches."""

import pytest
import torch

from dataprep.errors import UserError
from vicregl_fast.models.backbone import Backbone, build_backbone, patch_sides
from vicregl_fast.models.config import BackboneConfig
from vicregl_fast.models.stages import stage_channels, stage_maps


def drawn(name: str) -> Backbone:
    torch.manual_seed(0)
    return build_backbone(BackboneConfig(name)).eval()


@torch.no_grad()
def test_a_convnext_s_stages_are_what_timm_s_stages_give() -> None:
    backbone, images = drawn("convnext_atto"), torch.randn(2, 3, 64, 96)
    cells = backbone.model.stem(images)
    for stage, channels, found in zip(
        backbone.model.stages, stage_channels(backbone), stage_maps(backbone, images), strict=True
    ):
        cells = stage(cells)
        assert found.shape[1] == channels
        torch.testing.assert_close(found, cells)
    torch.testing.assert_close(backbone(images).map, backbone.model.norm_pre(cells))  # the last map is normed


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("resnet18", [(64, 16), (128, 8), (256, 4), (512, 2)]),
        ("swin_tiny_patch4_window7_224", [(96, 16), (192, 8), (384, 4), (768, 2)]),
        ("test_vit", [(64, 4)] * 4),
    ],
)
def test_other_families_have_stages_or_blocks(name: str, shapes: list[tuple[int, int]]) -> None:
    backbone = drawn(name)
    maps = stage_maps(backbone, torch.randn(1, 3, 64, 64))
    assert [each.shape for each in maps] == [(1, channels, side, side) for channels, side in shapes]
    assert stage_channels(backbone) == tuple(channels for channels, _ in shapes)


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(UserError, match="timm gives no 4 stages of pit_ti_224: give --features last"):
        stage_channels(drawn("pit_ti_224"))
    with pytest.raises(UserError, match="cannot take images of 50x60 pixels"):
        stage_maps(drawn("test_vit"), torch.zeros(1, 3, 50, 60))


def test_patches() -> None:
    assert [patch_sides(drawn(name)) for name in ("test_vit", "resnet18")] == [(16, 16), (1, 1)]
