"""Maps of any family, pooled as the paper pools them."""

import pytest
import torch

from dataprep.errors import UserError
from vicregl_fast.models.backbone import build_backbone, checked_maps, feature_grid
from vicregl_fast.models.config import BackboneConfig


@pytest.mark.parametrize(
    ("name", "stride", "size", "grid", "channels"),
    [
        ("resnet18", 32, 96, 3, 512),
        ("resnet18", 16, 96, 6, 512),
        ("convnext_atto", 32, 96, 3, 320),
        ("vit_tiny_patch16_224", 32, 96, 6, 192),
        ("swin_tiny_patch4_window7_224", 32, 224, 7, 768),
    ],
)
def test_map_and_pooled_vector(name: str, stride: int, size: int, grid: int, channels: int) -> None:
    backbone = build_backbone(BackboneConfig(name, stride)).eval()
    assert backbone.channels == channels
    assert feature_grid(backbone, size) == grid
    with torch.no_grad():
        features = backbone(torch.randn(2, 3, size, size))
    assert features.map.shape == (2, channels, grid, grid)
    torch.testing.assert_close(features.pooled, features.map.flatten(2).mean(2))


def test_a_vit_s_cells_lie_where_its_patches_do() -> None:
    """A change of the top right patch moves the top right cell most, on square images and others."""
    torch.manual_seed(0)
    backbone = build_backbone(BackboneConfig("vit_tiny_patch16_224")).eval()
    for rows, columns in ((6, 6), (4, 9), (10, 8)):
        images = torch.zeros(2, 3, rows * 16, columns * 16)
        images[1, :, :16, -16:] = 3
        with torch.no_grad():
            maps = backbone(images).map
        assert maps.shape[2:] == (rows, columns)
        moved = (maps[1] - maps[0]).norm(dim=0)
        assert moved.flatten().argmax().item() == columns - 1


@pytest.mark.parametrize(
    ("name", "size", "grid"),
    [
        ("test_resnet", 96, 3),  # [n, C, h, w]
        ("mambaout_femto", 96, 3),  # [n, h, w, C]
        ("swin_tiny_patch4_window7_224", 96, 3),  # with windows that its maps do not fill
        ("test_vit", 96, 6),  # a class token and the cells
        ("deit_tiny_distilled_patch16_224", 96, 6),  # two tokens before them
        ("gmlp_ti16_224", 224, 14),  # cells alone
        ("volo_d1_224", 224, 14),  # timm does not say that one token comes before them
        ("coat_lite_tiny", 224, 7),
        ("beit_base_patch16_224", 224, 14),
    ],
)
def test_a_cell_sees_its_place(name: str, size: int, grid: int) -> None:
    """By the gradient with respect to the image, corner cells of every family look towards their own corners."""
    torch.manual_seed(0)
    backbone = build_backbone(BackboneConfig(name)).eval()
    images = torch.randn(1, 3, size, size, requires_grad=True)
    cells = backbone(images).map
    assert cells.shape == (1, backbone.channels, grid, grid)
    direction = torch.randn(backbone.channels)

    def seen(row: int, column: int) -> tuple[float, float]:
        """The mean place, as row and column in pixels, of what moves this cell."""
        (moves,) = torch.autograd.grad((cells[0, :, row, column] * direction).sum(), images, retain_graph=True)
        energy = moves[0].square().sum(0) / moves.square().sum()
        places = torch.arange(size, dtype=torch.float32)
        return (energy.sum(1) @ places).item(), (energy.sum(0) @ places).item()

    (top, right), (bottom, left) = seen(0, -1), seen(-1, 0)
    assert top + size / 20 < bottom and left + size / 20 < right


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("pit_ti_224", 224, "pit_ti_224 gives a single vector for images of 224x224 pixels and no map of cells"),
        ("pit_ti_distilled_224", 224, "pit_ti_distilled_224 gives no feature map"),
        ("crossvit_9_240", 240, "crossvit_9_240 gives no feature map that can be used .but list"),
        ("coat_tiny", 224, "coat_tiny gives no feature map"),
        ("coat_lite_tiny", 96, "cannot take images of 96x96 pixels.*timm made coat_lite_tiny for 224x224"),
        ("pit_ti_224", 96, "cannot take images of 96x96 pixels.*timm made pit_ti_224 for 224x224"),
        ("botnet26t_256", 96, "cannot take images of 96x96 pixels: AssertionError; timm made botnet26t_256 for 256"),
    ],
)
def test_what_gives_no_map_of_a_view_is_refused_in_one_sentence(name: str, size: int, words: str) -> None:
    with pytest.raises(UserError, match=words) as raised:
        feature_grid(build_backbone(BackboneConfig(name)), size)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 400


def test_a_single_vector_is_enough_where_no_cells_are_needed() -> None:
    assert feature_grid(build_backbone(BackboneConfig("pit_ti_224")), 224, needs_cells=False) == 1


def test_a_small_view_may_have_one_cell() -> None:
    backbone = build_backbone(BackboneConfig("test_resnet"))
    assert [feature_grid(backbone, size) for size in (16, 32, 64)] == [1, 1, 2]


def test_sizes_that_a_backbone_refuses_are_said() -> None:
    with pytest.raises(UserError, match="cannot take images of 100x130 pixels"):
        checked_maps(build_backbone(BackboneConfig("vit_tiny_patch16_224")), torch.zeros(1, 3, 100, 130))


def test_a_convnext_s_hidden_layer_of_the_classifier_is_left_out() -> None:
    with torch.device("meta"):
        backbone = build_backbone(BackboneConfig("convnext_large_mlp"))
        assert backbone(torch.zeros(1, 3, 64, 64)).map.shape == (1, 1536, 2, 2)


def test_a_convnext_s_cells_are_normed_before_pooling_and_it_has_no_layer_scale() -> None:
    backbone = build_backbone(BackboneConfig("convnext_atto")).eval()
    with torch.no_grad():
        cells = backbone(torch.randn(2, 3, 64, 64)).map.permute(0, 2, 3, 1)
    torch.testing.assert_close(cells.mean(-1), torch.zeros(2, 2, 2), atol=1e-4, rtol=0)
    torch.testing.assert_close(cells.var(-1, unbiased=False), torch.ones(2, 2, 2), atol=1e-2, rtol=0)
    assert not any("gamma" in name for name, _ in backbone.named_parameters())
    rates = [module.drop_prob for module in backbone.modules() if hasattr(module, "drop_prob")]
    assert max(rates) == pytest.approx(0.1)


@pytest.mark.parametrize(("zero_init", "scale"), [(True, 0.0), (False, 1.0)])
def test_a_resnet_s_residual_branches_start_closed_or_open(zero_init: bool, scale: float) -> None:
    for name, last in (("resnet18", "bn2"), ("resnet50", "bn3")):
        backbone = build_backbone(BackboneConfig(name, zero_init=zero_init))
        scales = [getattr(block, last).weight for block in backbone.modules() if hasattr(block, last)]
        assert scales and all((weight == scale).all() for weight in scales)


def test_wrong_names_and_strides_are_said() -> None:
    with pytest.raises(UserError, match="near it are resnet50"):
        build_backbone(BackboneConfig("resnet5o"))
    with pytest.raises(UserError, match="output_stride 16"):
        build_backbone(BackboneConfig("vit_tiny_patch16_224", output_stride=16))


def test_a_batch_too_small_for_batchnorm_is_no_matter_of_the_size() -> None:
    backbone = build_backbone(BackboneConfig("test_resnet")).train()
    with pytest.raises(UserError, match=r"a single value a channel in a batch of 1, .*: raise --batch_size") as raised:
        checked_maps(backbone, torch.zeros(1, 3, 32, 32), needs_cells=False)
    assert "cannot take" not in str(raised.value)
