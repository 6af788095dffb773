"""Files of timm and torchvision give the features that those libraries compute from them."""

from pathlib import Path

import pytest
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file

import tests.weights.layouts as made
from dataprep.errors import UserError
from vicregl_fast.weights.loading import load_backbone

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_timm_s_convnext_keeps_what_its_layer_scale_does(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    model = timm.create_model("convnext_atto").eval()
    model.load_state_dict(made.drawn(model, 0))
    torch.save({"state_dict": model.state_dict(), "epoch": 3}, tmp_path / "timm.pth")
    features = load_backbone(tmp_path / "timm.pth", "convnext_atto")(IMAGES)
    expected = model.head.norm(model.forward_features(IMAGES))  # timm's norm comes behind pooling
    torch.testing.assert_close(features.map, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(features.pooled, expected.mean((2, 3)), atol=1e-4, rtol=1e-4)
    assert "a convnext_atto has no place for head.fc.* of" in capsys.readouterr().err


@torch.no_grad()
def test_a_layer_scale_stays_where_the_network_has_one(tmp_path: Path) -> None:
    """As those do whose names are no published ConvNeXt's: of their blocks it is a part."""
    model = timm.create_model("test_convnext", num_classes=0).eval()
    model.load_state_dict(made.drawn(model, 0))
    torch.save(model.state_dict(), tmp_path / "timm.pth")
    loaded = load_backbone(tmp_path / "timm.pth", "test_convnext")
    assert torch.equal(loaded.model.stages[0].blocks[0].gamma, model.stages[0].blocks[0].gamma)
    torch.testing.assert_close(loaded(IMAGES).map, model.forward_features(IMAGES), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_torchvision_s_convnext(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    model = torchvision.models.convnext_tiny(num_classes=3).eval()
    model.load_state_dict(made.drawn(model, 1))
    torch.save(model.state_dict(), tmp_path / "torchvision.pth")
    features = load_backbone(tmp_path / "torchvision.pth", "convnext_tiny")(IMAGES)
    torch.testing.assert_close(features.map, model.classifier[0](model.features(IMAGES)), atol=1e-4, rtol=1e-4)
    assert "no place for classifier.2.* of" in capsys.readouterr().err


@torch.no_grad()
def test_a_resnet_of_either_wrapped_and_in_halves(tmp_path: Path) -> None:
    model = torchvision.models.resnet18().eval()
    tensors = made.drawn(model, 2)
    model.load_state_dict(tensors)
    torch.save({f"_orig_mod.module.{key}": value for key, value in tensors.items()}, tmp_path / "wrapped.pth")
    half = {key: value.half() if value.is_floating_point() else value for key, value in tensors.items()}
    save_file(half, tmp_path / "half.safetensors")
    model.fc = torch.nn.Identity()
    for file, tolerance in (("wrapped.pth", 1e-5), ("half.safetensors", 0.05)):
        features = load_backbone(tmp_path / file, "resnet18")(IMAGES)
        torch.testing.assert_close(features.pooled, model(IMAGES), atol=tolerance, rtol=tolerance)
        assert features.map.dtype == torch.float32


@torch.no_grad()
@pytest.mark.parametrize(
    ("prefix", "others"),
    [
        ("model.", {"criterion.weight": torch.ones(3)}),
        (
            "module.encoder_q.",
            {"module.encoder_k.conv1.weight": torch.ones(64, 3, 7, 7), "module.queue": torch.ones(2)},
        ),
        ("encoder.", {"decoder.weight": torch.ones(3)}),
        ("backbone.", {"head.weight": torch.ones(3)}),
        ("model.backbone.", {"model.head.weight": torch.ones(3)}),
    ],
)
def test_a_backbone_among_other_parts(
    prefix: str, others: dict[str, torch.Tensor], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    tensors = made.resnet_tensors("resnet18", 0)
    torch.save({"state_dict": {f"{prefix}{key}": value for key, value in tensors.items()} | others}, tmp_path / "a.pth")
    features = load_backbone(tmp_path / "a.pth", "resnet18")(IMAGES)
    torch.testing.assert_close(features.pooled, made.resnet_features("resnet18", tensors, IMAGES)[1])
    said = capsys.readouterr().err
    assert f"has no place for {next(iter(others)).split('.weight')[0]}" in said


@torch.no_grad()
def test_of_two_states_the_file_s_own_is_taken_and_said(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    first, second = (made.resnet_tensors("resnet18", seed) for seed in (0, 1))
    for taken, beside in (("model", "model_ema"), ("teacher", "student")):
        path = tmp_path / f"{taken}.pth"
        torch.save({beside: second, taken: first, "epoch": 3}, path)
        features = load_backbone(path, "resnet18")(IMAGES)
        torch.testing.assert_close(features.pooled, made.resnet_features("resnet18", first, IMAGES)[1])
        assert f"of {path} {taken} is taken; beside it lies {beside}\n" in capsys.readouterr().err


@torch.no_grad()
def test_a_vit_of_timm(tmp_path: Path) -> None:
    model = timm.create_model("test_vit").eval()
    torch.save(model.state_dict(), tmp_path / "vit.pth")
    features = load_backbone(tmp_path / "vit.pth", "test_vit")(torch.zeros(1, 3, 160, 160))
    tokens = model.forward_features(torch.zeros(1, 3, 160, 160))[:, model.num_prefix_tokens :]
    torch.testing.assert_close(features.pooled, tokens.mean(1))


def test_what_cannot_be_read_or_fits_nothing_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("none")
    (tmp_path / "text.safetensors").write_text("none")
    torch.save({"a": torch.zeros(300)}, tmp_path / "cut.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "cut.pth").read_bytes()[:900])
    Image.new("RGB", (9, 9)).save(tmp_path / "photograph.jpg")
    torch.save([torch.zeros(3)], tmp_path / "list.pth")
    torch.save({"epoch": 3, "lr": 0.1}, tmp_path / "numbers.pth")
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2)).state_dict(), tmp_path / "other.pth")
    torch.save({"conv1.weight": torch.full((64, 3, 7, 7), torch.nan)}, tmp_path / "broken.pth")
    save_file({"x": torch.ones(1)}, tmp_path / "odd.safetensors", {"backbone": "resnet18", "output_stride": "big"})
    for name, words in {
        "missing.pth": "there is no file of weights at",
        "missing.safetensors": "there is no file of weights at",
        "missing": "is not a run of vicregl_fast.train",
        "text.pth": r"text\.pth is no file of weights that torch or safetensors wrote",
        "photograph.jpg": r"photograph\.jpg is no file of weights that torch or safetensors wrote",
        "cut.pth": r"cut\.pth cannot be read .*: the file is damaged",
        "text.safetensors": "is damaged, or no file that safetensors wrote",
        "list.pth": r"holds no dict of tensors \(list\)",
        "numbers.pth": r"holds no dict of tensors \(epoch, lr\)",
        "other.pth": "fits the network: it holds 0.bias, 0.weight, and the network conv1.weight, bn1.weight, .* more",
        "broken.pth": "1 tensors in .* hold non-finite values, the first being conv1.weight",
        "odd.safetensors": "the output_stride 'big', which is no number",
    }.items():
        with pytest.raises(UserError, match=words) as raised:
            load_backbone(tmp_path / name, "resnet18")
        assert "\n" not in str(raised.value)


def test_odd_tensors_are_refused(tmp_path: Path) -> None:
    state = timm.create_model("resnet18", num_classes=0).state_dict()
    weight = state["conv1.weight"]
    for name, tensor, words in (
        (
            "int8",
            weight.to(torch.int8),
            r"other kinds of numbers than the network: conv1\.weight torch\.int8 for torch\.float32",
        ),
        ("complex", weight.to(torch.complex64), r"conv1\.weight torch\.complex64 for"),
        ("sparse", weight.to_sparse(), r"no plain tensor under conv1\.weight .*sparse"),
        ("meta", weight.to("meta"), r"no plain tensor under conv1\.weight .*meta"),
    ):
        torch.save(state | {"conv1.weight": tensor}, tmp_path / f"{name}.pth")
        with pytest.raises(UserError, match=words):
            load_backbone(tmp_path / f"{name}.pth", "resnet18")
    more = {"queue_ptr": torch.zeros(1, dtype=torch.int64), "position_ids": torch.arange(9)}
    torch.save(state | more, tmp_path / "more.pth")
    load_backbone(tmp_path / "more.pth", "resnet18")
    torch.save(state | {"module.conv1.weight": weight + 1}, tmp_path / "twice.pth")
    with pytest.raises(UserError, match=r"conv1\.weight, which are one tensor: leave one"):
        load_backbone(tmp_path / "twice.pth", "resnet18")


def test_wrong_bytes_within_tensors_are_noticed(tmp_path: Path) -> None:
    state = timm.create_model("resnet18", num_classes=0).state_dict()
    torch.save(state, tmp_path / "a.pth")
    content = bytearray((tmp_path / "a.pth").read_bytes())
    place = content.index(state["conv1.weight"].numpy().tobytes())
    content[place : place + 400] = bytes(400)
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"is damaged .*copy it again"):
        load_backbone(tmp_path / "a.pth", "resnet18")


def test_a_name_of_another_library_does_not_stand_in_the_way(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    state = {name: value.contiguous() for name, value in timm.create_model("resnet18").state_dict().items()}
    save_file(state, tmp_path / "a.safetensors", {"backbone": "their_net", "output_stride": "16"})
    assert load_backbone(tmp_path / "a.safetensors", "resnet18")(IMAGES).map.shape[2:] == (4, 4)
    assert "holds a their_net, which timm does not have: taken as a resnet18" in capsys.readouterr().err
    save_file(state, tmp_path / "b.safetensors", {"backbone": "resnet34"})
    with pytest.raises(UserError, match="holds a resnet34, not a resnet18"):
        load_backbone(tmp_path / "b.safetensors", "resnet18")


@torch.no_grad()
def test_a_file_that_does_not_say_its_stride_can_be_told_it(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    torch.save(timm.create_model("resnet18").state_dict(), tmp_path / "a.pth")
    expected = timm.create_model("resnet18", output_stride=16, num_classes=0).eval()
    expected.load_state_dict(torch.load(tmp_path / "a.pth", weights_only=True), strict=False)
    told = load_backbone(tmp_path / "a.pth", "resnet18", output_stride=16)
    assert "stride" not in capsys.readouterr().err
    torch.testing.assert_close(told(IMAGES).pooled, expected(IMAGES))
    assert load_backbone(tmp_path / "a.pth", "resnet18")(IMAGES).map.shape[2:] == (2, 2)
    assert "does not say at which output stride it was trained: 32 is taken" in capsys.readouterr().err
    torch.save(timm.create_model("test_vit").state_dict(), tmp_path / "vit.pth")
    load_backbone(tmp_path / "vit.pth", "test_vit")
    assert "stride" not in capsys.readouterr().err


def test_whole_numbers_that_a_network_keeps_are_no_odd_tensors(tmp_path: Path) -> None:
    state = timm.create_model("efficientformer_l1", num_classes=0).state_dict()
    assert any(value.ndim and not value.is_floating_point() for value in state.values())
    torch.save(state, tmp_path / "a.pth")
    loaded = load_backbone(tmp_path / "a.pth", "efficientformer_l1").model.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())
