"""What is exported runs in onnxruntime, with the same features."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.weights.exported import NEEDS_ONNX, Export, assert_close, features_of, write_run
from vicregl_fast.export import main
from vicregl_fast.models.config import ModelConfig


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


@pytest.mark.slow
@NEEDS_ONNX
def test_onnx_of_one_size_where_any_cannot_be(
    export: Export, runs: dict[str, Path], capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit):
        export("test_vit", "vit.onnx", "--to", "onnx")
    assert "test_vit cannot be exported to ONNX" in (words := capsys.readouterr().err)
    assert "; --size PIXELS exports it for images of one size" in words and words.count("error: ") == 1
    path = export("test_vit", "vit.onnx", "--to", "onnx", "--size", "160")
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    images = torch.randn(3, 3, 160, 160)
    (pooled,) = session.run(["pooled"], {"images": images.numpy()})
    assert_close(torch.from_numpy(np.asarray(pooled)), features_of(runs["test_vit"], images)[1], 1e-4)


@pytest.mark.slow
@NEEDS_ONNX
def test_a_swin_is_exported_for_one_size(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Its graph for any size runs at those it was traced for, and fails at others."""
    run = write_run(tmp_path / "run", ModelConfig("swin_tiny_patch4_window7_224", expander=8, projector=8))
    with pytest.raises(SystemExit, match="2"):
        main([str(run), str(tmp_path / "swin.onnx"), "--to", "onnx"])
    assert "; --size PIXELS exports it for images of one size" in capsys.readouterr().err
    assert not (tmp_path / "swin.onnx").exists()
