"""Heads, their absence at weight zero, and the online classifier's isolation."""

import torch

from vicregl_fast.models.config import ModelConfig
from vicregl_fast.models.network import VICRegLNetwork

SMALL = ModelConfig(backbone="resnet18", expander=24, projector=12)


def network(**options: object) -> VICRegLNetwork:
    return VICRegLNetwork(SMALL, **{"use_global": True, "use_local": True, "classes": 3, **options})  # type: ignore[arg-type]


def test_outputs_of_views_of_two_sizes() -> None:
    outputs = network()([torch.randn(4, 3, 64, 64), torch.randn(4, 3, 64, 64), torch.randn(4, 3, 32, 32)])
    assert [tuple(z.shape) for z in outputs.embeddings or []] == [(4, 24)] * 3
    assert [tuple(z.shape) for z in outputs.maps or []] == [(4, 4, 12), (4, 4, 12), (4, 1, 12)]
    assert outputs.logits is not None and outputs.logits.shape == (4, 3)


def test_heads_of_weight_zero_are_not_built() -> None:
    names = {name.split(".")[0] for name, _ in network(use_global=False, classes=0).named_parameters()}
    assert names == {"backbone", "projector"}
    assert network(use_local=False)([torch.randn(2, 3, 32, 32)] * 2).maps is None


def test_a_cell_s_embedding_is_the_projector_s_of_that_cell_in_row_order() -> None:
    built = network().eval()
    view = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        features = built.backbone(view).map
        cell = built.projector.mlp(features[:, :, 1, 2])  # type: ignore[union-attr]
        torch.testing.assert_close(built([view, view]).maps[0][:, 1 * 3 + 2], cell, atol=1e-5, rtol=1e-4)


def test_the_classifier_sends_no_gradient_to_the_backbone() -> None:
    built = network()
    logits = built([torch.randn(4, 3, 32, 32)] * 2).logits
    logits.sum().backward()
    assert built.classifier.weight.grad is not None  # type: ignore[union-attr]
    assert all(p.grad is None for p in built.backbone.parameters())


def test_norms_follow_the_backbone_s_family() -> None:
    assert any(isinstance(m, torch.nn.BatchNorm1d) for m in network().expander.modules())  # type: ignore[union-attr]
    convnext = VICRegLNetwork(ModelConfig("convnext_atto", expander=8, projector=8), True, True)
    kinds = {type(m) for head in (convnext.expander, convnext.projector) for m in head.modules()}  # type: ignore[union-attr]
    assert torch.nn.LayerNorm in kinds and torch.nn.BatchNorm1d not in kinds


def test_each_view_has_its_own_outputs_where_views_pass_together() -> None:
    """Of a network without BatchNorm, whose views of one size are one batch."""
    torch.manual_seed(0)
    built = VICRegLNetwork(ModelConfig("convnext_atto", expander=24, projector=12), True, True, classes=3).eval()
    views = [torch.randn(2, 3, size, size) for size in (64, 64, 32)]
    passes: list[int] = []
    hook = built.backbone.register_forward_hook(lambda *of: passes.append(len(of[1][0])))
    with torch.no_grad():
        outputs = built(views)
        hook.remove()
        assert passes == [4, 2]
        alone = [built.backbone(view) for view in views]
        close = {"atol": 1e-5, "rtol": 1e-4}
        for embedding, cells, features in zip(outputs.embeddings, outputs.maps, alone, strict=True):
            torch.testing.assert_close(embedding, built.expander(features.pooled), **close)
            torch.testing.assert_close(cells, built.projector(features.map), **close)
        torch.testing.assert_close(outputs.pooled, alone[0].pooled, **close)
        torch.testing.assert_close(outputs.logits, built.classifier(alone[0].pooled), **close)
