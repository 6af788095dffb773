"""What is exported runs in onnxruntime, with the same features."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dataprep.errors import UserError
from tests.weights.exported import NEEDS_ONNX, Export, assert_close, features_of
from vicregl_fast.models.backbone import build_backbone
from vicregl_fast.models.config import BackboneConfig
from vicregl_fast.weights import onnx_files


@NEEDS_ONNX
@pytest.mark.parametrize("name", ["resnet18", "convnext_atto"])
def test_onnx_takes_any_number_and_size_of_images(name: str, export: Export, runs: dict[str, Path]) -> None:
    import onnxruntime

    path = export(name, f"{name}.onnx", "--to", "onnx")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for shape in ((1, 3, 64, 64), (3, 3, 96, 160), (2, 3, 224, 33)):
        images = torch.randn(shape)
        pooled, maps = session.run(["pooled", "map"], {"images": images.numpy()})
        for given, expected in zip((maps, pooled), features_of(runs[name], images), strict=True):
            assert_close(torch.from_numpy(given), expected, 1e-4)
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name, f"{path.name}.md"]


@NEEDS_ONNX
@pytest.mark.parametrize("name", ["test_vit", "swin_tiny_patch4_window7_224"])
def test_a_network_of_patches_wants_a_size_at_once(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_files, "_export", lambda *_: pytest.fail("the work began"))
    with pytest.raises(UserError, match=f"a {name}'s ONNX graph takes images of one size: give --size PIXELS"):
        onnx_files.write_onnx(build_backbone(BackboneConfig(name)).eval(), tmp_path / "a.onnx", None)


@pytest.mark.slow
@NEEDS_ONNX
def test_onnx_of_one_size(export: Export, runs: dict[str, Path]) -> None:
    import onnxruntime

    path = export("test_vit", "vit.onnx", "--to", "onnx", "--size", "160")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    images = torch.randn(3, 3, 160, 160)
    (pooled,) = session.run(["pooled"], {"images": images.numpy()})
    assert_close(torch.from_numpy(np.asarray(pooled)), features_of(runs["test_vit"], images)[1], 1e-4)
