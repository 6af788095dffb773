"""What is exported loads strictly in timm and torchvision, with the same features."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors import safe_open

import vicregl_fast
from tests.weights.exported import IMAGES, NEEDS_ONNX, ROOT, Export, assert_close, features_of, write_run
from vicregl_fast.export import main
from vicregl_fast.models.config import ModelConfig


@torch.no_grad()
@pytest.mark.parametrize("to", ["timm", "safetensors"])
@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "test_vit"])
def test_timm_computes_the_same(name: str, to: str, export: Export, runs: dict[str, Path]) -> None:
    path = export(name, f"{name}.pth" if to == "timm" else f"{name}.safetensors", "--to", to)
    norm = {"head_norm_first": True} if name == "convnext_atto" else {}
    model = timm.create_model(name, checkpoint_path=str(path), num_classes=0, **norm).eval()  # strict
    images = torch.randn(2, 3, 160, 160) if name == "test_vit" else IMAGES
    maps, pooled = features_of(runs[name], images)
    if name == "test_vit":
        tokens = model.forward_features(images)[:, model.num_prefix_tokens :]
        assert_close(tokens.mean(1), pooled)
        return
    assert_close(model.forward_features(images), maps)
    assert_close(model(images), pooled)


@torch.no_grad()
def test_a_classifier_of_zeros_where_one_is_asked_for(export: Export, runs: dict[str, Path]) -> None:
    path = export("resnet18", "resnet18.pth", "--to", "timm", "--classes", "7")
    model = timm.create_model("resnet18", num_classes=7, checkpoint_path=str(path)).eval()
    assert (model(IMAGES) == 0).all()
    assert_close(model.forward_features(IMAGES), features_of(runs["resnet18"])[0])


@torch.no_grad()
def test_torchvision_computes_the_same(export: Export, runs: dict[str, Path]) -> None:
    for name in ("resnet18", "convnext_tiny"):
        path = export(name, f"{name}.pth", "--to", "torchvision")
        model = torchvision.models.get_model(name).eval()
        model.load_state_dict(torch.load(path, weights_only=True), strict=True)
        maps, pooled = features_of(runs[name])
        assert (model(IMAGES) == 0).all()
        if name == "resnet18":
            model.fc = torch.nn.Identity()
            assert_close(model(IMAGES), pooled)
        else:
            cells = model.classifier[0](model.features(IMAGES))
            assert_close(cells, maps)
            assert_close(cells.mean((2, 3)), pooled)


@torch.no_grad()
def test_a_dilated_resnet_is_dilated_in_torchvision(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    run = write_run(tmp_path / "run", ModelConfig("resnet50", output_stride=8, expander=8, projector=8))
    main([str(run), str(tmp_path / "resnet50.pth"), "--to", "torchvision"])
    options = "num_classes=1000, replace_stride_with_dilation=[False, True, True]"
    assert f"torchvision.models.resnet50({options})" in capsys.readouterr().out
    model = torchvision.models.resnet50(replace_stride_with_dilation=[False, True, True]).eval()
    model.load_state_dict(torch.load(tmp_path / "resnet50.pth", weights_only=True), strict=True)
    maps, _ = features_of(run)
    assert maps.shape[2:] == (8, 8)
    assert_close(torch.nn.Sequential(*list(model.children())[:-2])(IMAGES), maps)


def test_exports_come_back_in(export: Export, runs: dict[str, Path]) -> None:
    for name, file, to, said in (
        ("convnext_tiny", "tv.pth", "torchvision", "convnext_tiny"),
        ("convnext_atto", "timm.pth", "timm", "convnext_atto"),
        ("convnext_atto", "own.safetensors", "safetensors", None),
    ):
        expected = features_of(runs[name])
        with torch.no_grad():
            features = vicregl_fast.load_backbone(str(export(name, file, "--to", to)), said)(IMAGES)
        assert_close(features.map, expected[0])
        assert_close(features.pooled, expected[1])


def test_the_card_says_what_it_is(export: Export, capsys: pytest.CaptureFixture) -> None:
    path = export("convnext_atto", "atto.safetensors", "--to", "safetensors")
    printed = capsys.readouterr().out
    line = "timm.create_model('convnext_atto', checkpoint_path='atto.safetensors', num_classes=0, head_norm_first=True"
    card = path.with_name("atto.safetensors.md").read_text()
    assert line in printed and f"```python\nmodel = {line}" in card
    for words in (
        "A convnext_atto of 3.4 million parameters. It gives a feature map of 320 channels at",
        "minus mean 0.485, 0.456, 0.406, divided by std 0.229, 0.224, 0.225. Trained on views of 224 pixels a side.",
        "after 12 steps (at epoch 3) of a run of 20 epochs in batches of 10, by lars, on data/imagenet/train.beton (47",
        "| metrics.jsonl, step 12 | loss | 2.25 |",
        "| metrics.jsonl, step 12 | health/global_std | 0.75 |",
        "| validation.json | val_loss | 2.5 |",
        "| knn.json | knn.trained.accuracy (%) | 61.5 |",
        f"torch {torch.__version__.split('+')[0]}",
        "backbone: convnext_atto",
    ):
        assert words in card, words
    with safe_open(path, "pt") as file:
        said = file.metadata()
    assert said == {
        "format": "pt",
        "backbone": "convnext_atto",
        "output_stride": "32",
        "source": "convnext_atto",
        "step": "12",
    }


@contextmanager
def most_bytes_of_a_file(limit: int) -> Iterator[None]:
    """The system refuses to write more, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@NEEDS_ONNX
def test_nothing_is_replaced_unasked_or_left_half_written(
    export: Export, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = export("resnet18", "a.pth", "--to", "timm")
    before = path.read_bytes()
    with pytest.raises(SystemExit):
        export("convnext_atto", "a.pth", "--to", "timm")
    assert "a.pth is already there; give --overwrite" in capsys.readouterr().err and path.read_bytes() == before

    for file, to in (("a.pth", "timm"), ("a.safetensors", "safetensors"), ("a.onnx", "onnx")):
        with most_bytes_of_a_file(100_000), pytest.raises(SystemExit):
            export("convnext_atto", file, "--to", to, "--overwrite")
        assert "free space or choose another place" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.pth", "a.pth.md"]
    export("convnext_atto", "a.pth", "--to", "timm", "--overwrite")
    assert path.read_bytes() != before and "convnext_atto" in (tmp_path / "a.pth.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["x", "a.onnx", "--to", "timm"], "OUT is a.onnx, but must end in .pth with --to timm"),
        (["x", "a.pth", "--to", "timm", "--size", "64"], "--size goes with --to onnx"),
        (["x", "a.onnx", "--to", "onnx", "--classes", "3"], "--classes goes with timm"),
        (["x", "none/a.pth", "--to", "timm"], "make the folder none first"),
        (["x", "a.pth", "--to", "timm"], "x is not a run of vicregl_fast.train"),
        (["RUN", "a.pth", "--to", "torchvision"], "torchvision has no convnext_atto with timm's layers"),
        (["RUN", "a.pth", "--to", "timm", "--backbone", "resnet18"], "holds a convnext_atto, not a resnet18"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str],
    words: str,
    runs: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([str(runs["convnext_atto"]) if each == "RUN" else each for each in arguments])
    error = capsys.readouterr().err
    assert ended.value.code == 2 and words in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_one_line_of_python_and_of_torch_hub(runs: dict[str, Path]) -> None:
    code = (
        "import sys, vicregl_fast; light = 'torch' not in sys.modules; import torch;"
        f"m = torch.hub.load({str(ROOT)!r}, 'vicregl', {str(runs['resnet18'])!r}, source='local');"
        "print(light, m.name, m.channels, m.training)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "resnet18", "512", "False"]


@torch.no_grad()
def test_what_the_card_says_of_a_vit_is_so(export: Export, runs: dict[str, Path]) -> None:
    path = export("test_vit", "vit.pth", "--to", "timm")
    card = path.with_name("vit.pth.md").read_text()
    assert "at an output stride of 16" in card
    lines = card.split("```python\n")[1].split("\n```")[0]
    images = torch.randn(2, 3, 160, 160)
    names = {"timm": timm, "images": images}
    exec(lines.replace("'vit.pth'", repr(str(path))), names)
    assert_close(names["pooled"], features_of(runs["test_vit"], images)[1])


@torch.no_grad()
def test_the_stride_of_a_file_can_be_told_to_an_export(tmp_path: Path) -> None:
    torch.save(timm.create_model("resnet18", num_classes=0).state_dict(), tmp_path / "a.pth")
    given = [str(tmp_path / "a.pth"), str(tmp_path / "b.safetensors"), "--to", "safetensors", "--backbone", "resnet18"]
    main([*given, "--output_stride", "16"])
    maps, _ = features_of(tmp_path / "b.safetensors")
    assert maps.shape[2:] == (4, 4) and "at an output stride of 16" in (tmp_path / "b.safetensors.md").read_text()


@pytest.mark.parametrize("to", ["timm", "torchvision"])
@pytest.mark.parametrize("name", ["resnet18", "convnext_tiny"])
def test_the_printed_lines_make_a_model_that_is_to_be_used(
    name: str, to: str, export: Export, capsys: pytest.CaptureFixture
) -> None:
    path = export(name, "a.pth", "--to", to)
    made = [line for line in capsys.readouterr().out.splitlines() if line.startswith("model")]
    names = {"timm": timm, "torchvision": torchvision, "torch": torch}
    exec("\n".join(made).replace("'a.pth'", repr(str(path))), names)
    assert not names["model"].training
