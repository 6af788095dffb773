"""Parts of a timm model behind its map are found and frozen, and the rest learns."""

import pytest
import torch

from vicregl_fast.models.config import ModelConfig
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.models.unreached import freeze_unreached


def network(name: str, use_local: bool = True) -> VICRegLNetwork:
    torch.manual_seed(0)
    return VICRegLNetwork(ModelConfig(name, expander=8, projector=8), True, use_local, classes=2)


@pytest.mark.parametrize(
    ("name", "size", "frozen"),
    [
        ("resnet18", 64, []),
        ("convnext_atto", 64, []),
        ("mobilenetv3_small_050", 64, ["conv_head.weight", "conv_head.bias"]),
        ("eva02_tiny_patch14_224", 56, ["fc_norm.weight", "fc_norm.bias"]),
    ],
)
def test_what_no_output_reaches_is_frozen(name: str, size: int, frozen: list[str]) -> None:
    tried = network(name)
    values = {key: value.clone() for key, value in tried.state_dict().items()}
    assert freeze_unreached(tried, size) == [f"backbone.model.{each}" for each in frozen]
    assert all(torch.equal(value, values[key]) for key, value in tried.state_dict().items())
    outputs = tried([torch.randn(2, 3, size, size)])
    assert outputs.embeddings is not None and outputs.maps is not None and outputs.logits is not None
    sum(each.sum() for each in (*outputs.embeddings, *outputs.maps, outputs.logits)).backward()  # type: ignore[union-attr]
    for key, parameter in tried.named_parameters():
        assert (parameter.grad is None) == (not parameter.requires_grad), key
    assert tried.training


def test_values_that_a_network_computes_with_are_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = network("mobilenetv3_small_050")
    forward = VICRegLNetwork.forward

    def with_values(self: VICRegLNetwork, views: list[torch.Tensor]) -> object:
        assert views[0].sum().item() == 0
        return forward(self, views)

    monkeypatch.setattr(VICRegLNetwork, "forward", with_values)
    assert len(freeze_unreached(tried, 64)) == 2
