"""Checkpoints in the released layouts load whole, and give the features of an independent computation."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import tests.weights.layouts as made
from dataprep.errors import UserError
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.weights.loading import check_start, load_backbone, start_from

RESNET, CONVNEXT = "resnet50", "convnext_atto"
IMAGES = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def full(name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A full network's tensors without ``module.``, and its backbone's in the names of its family."""
    resnet = name == RESNET
    backbone = made.resnet_tensors(name, 1) if resnet else made.convnext_tensors(1)
    channels, norm = (2048, "batch") if resnet else (320, "layer")
    network = {f"backbone.{key}": value for key, value in backbone.items()}
    network |= made.head("projector", channels, 32, norm, 2) | made.head("maps_projector", channels, 16, norm, 3)
    network |= {"classifier.weight": torch.randn(1000, channels), "classifier.bias": torch.randn(1000)}
    return network, backbone


def reference(name: str, backbone: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    return made.resnet_features(name, backbone, IMAGES) if name == RESNET else made.convnext_features(backbone, IMAGES)


def assert_same_features(path: Path, name: str, expected: tuple[Tensor, Tensor]) -> None:
    with torch.no_grad():
        features = load_backbone(path, name)(IMAGES)
    for ours, other in zip(features, expected, strict=True):
        assert other.std() > 0.1  # the drawn weights say something
        torch.testing.assert_close(ours, other, atol=1e-4, rtol=1e-4)


def is_whole(notes: str) -> bool:
    """Whether nothing is left out. What may be dilated is told to be taken as it is."""
    return notes.count("\n") == 1 and "at which output stride" in notes


@pytest.mark.parametrize("name", [RESNET, CONVNEXT])
def test_backbone_only(name: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    _, backbone = full(name)
    torch.save(backbone, tmp_path / "backbone.pth")
    assert_same_features(tmp_path / "backbone.pth", name, reference(name, backbone))
    assert is_whole(capsys.readouterr().err)


@pytest.mark.parametrize("name", [RESNET, CONVNEXT])
def test_full_checkpoint(name: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    network, backbone = full(name)
    path = made.write_full(tmp_path / "full.pth", network)
    assert_same_features(path, name, reference(name, backbone))
    assert is_whole(capsys.readouterr().err)

    started = VICRegLNetwork(ModelConfig(name, expander=32, projector=16, weights=str(path)), True, True, classes=3)
    online = started.classifier.weight.clone()  # type: ignore[union-attr]
    start_from(started, ModelConfig(name, expander=32, projector=16, weights=str(path)))
    words = capsys.readouterr().err
    assert "has no place for module.classifier.*" in words and "as drawn" not in words
    state = started.state_dict()
    for index in ("0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "4.bias", "6.weight"):
        assert torch.equal(state[f"expander.{index}"], network[f"projector.{index}"])
        assert torch.equal(state[f"projector.mlp.{index}"], network[f"maps_projector.{index}"])
    assert torch.equal(state["classifier.weight"], online)
    with torch.no_grad():
        features = started.eval().backbone(IMAGES)
    torch.testing.assert_close(features.pooled, reference(name, backbone)[1], atol=1e-4, rtol=1e-4)


def test_heads_of_other_widths_stay_as_drawn(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    network, backbone = full(CONVNEXT)
    path = made.write_full(tmp_path / "full.pth", network)
    config = ModelConfig(CONVNEXT, expander=24, projector=16, weights=str(path))
    check_start(config, use_global=True, use_local=True)
    started = VICRegLNetwork(config, True, True)
    before = {name: value.clone() for name, value in started.state_dict().items()}
    start_from(started, config)
    state = started.state_dict()
    assert "expander.* have other widths in the file, and are as drawn (--model.expander" in capsys.readouterr().err
    assert all(torch.equal(state[name], before[name]) for name in state if name.startswith("expander."))
    assert torch.equal(state["projector.mlp.0.weight"], network["maps_projector.0.weight"])
    with torch.no_grad():
        pooled = started.eval().backbone(IMAGES).pooled
    torch.testing.assert_close(pooled, reference(CONVNEXT, backbone)[1], atol=1e-4, rtol=1e-4)
    del network["backbone.norm.weight"]
    with pytest.raises(UserError, match=r"have other shapes than the network's: .*projector"):
        check_start(replace(config, weights=str(made.write_full(tmp_path / "part.pth", network))), True, True)


def test_no_other_code_is_named(tmp_path: Path) -> None:
    network, _ = full(CONVNEXT)
    for module, name in (("optimizers", "exclude_bias"), ("optimisers", "exclude_bias_and_norm")):
        path = made.write_full(tmp_path / "full.pth", network, module, name)
        with pytest.raises(UserError, match=rf"names code \({module}\.{name}\), and none is executed"):
            load_backbone(path, CONVNEXT)


@pytest.mark.parametrize(
    ("name", "key", "ours"),
    [
        (RESNET, "layer4.2.bn3.running_mean", "layer4.2.bn3.running_mean"),
        (CONVNEXT, "stages.2.5.pwconv1.bias", r"stages.2.blocks.5.mlp.fc1.bias"),
        (CONVNEXT, "norm.weight", "norm_pre.weight"),
    ],
)
def test_a_missing_key_and_a_wrong_shape_are_named(name: str, key: str, ours: str, tmp_path: Path) -> None:
    network, _ = full(name)
    whole = network.pop(f"backbone.{key}")
    with pytest.raises(UserError, match=rf"lacks 1 tensors of a {name}: {ours}$"):
        load_backbone(made.write_full(tmp_path / "full.pth", network), name)
    network[f"backbone.{key}"] = torch.zeros(7, *whole.shape[1:])
    with pytest.raises(UserError, match=rf"module.backbone.{key} \(7,\) for \({len(whole)},\)"):
        load_backbone(made.write_full(tmp_path / "full.pth", network), name)


def test_a_key_without_a_place_is_named(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    network, backbone = full(CONVNEXT)
    network |= {f"backbone.stages.4.0.norm.{kind}": torch.ones(3) for kind in ("weight", "bias")}
    network |= {"backbone.stages.2.1.extra": torch.ones(3), "momentum_head.0.weight": torch.ones(3)}
    path = made.write_full(tmp_path / "full.pth", network)
    assert_same_features(path, CONVNEXT, reference(CONVNEXT, backbone))
    words = capsys.readouterr().err
    assert "module.backbone.stages.4.*" in words and "module.backbone.stages.2.1.extra" in words
    assert "has no place for " in words and "module.momentum_head" in words
    assert not any(head in words for head in ("projector", "classifier"))


def test_the_architecture_must_be_said(tmp_path: Path) -> None:
    torch.save(made.convnext_tensors(0), tmp_path / "backbone.pth")
    with pytest.raises(UserError, match="does not say which backbone it holds: give --backbone NAME"):
        load_backbone(tmp_path / "backbone.pth")
