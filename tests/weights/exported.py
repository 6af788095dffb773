"""Runs with drawn weights to be exported, and what exports are compared with."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import vicregl_fast
from tests.weights.layouts import drawn
from vicregl_fast.config import RunConfig, dump_config
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.runs.folder import RunFolder
from vicregl_fast.runs.images import LearnedImages

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
ROOT = Path(__file__).resolve().parents[2]
Export = Callable[..., Path]
NEEDS_ONNX = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxruntime", "onnxscript")),
    reason="needs the extra export",
)


def write_run(folder: Path, model: ModelConfig, seed: int = 0) -> Path:
    """What a training leaves, with drawn weights."""
    run = RunFolder(folder)
    config = RunConfig(epochs=20, batch_size=10, model=model)
    folder.mkdir()
    run.config.write_text(dump_config(config))
    network = drawn(VICRegLNetwork(model, use_global=True, use_local=True), seed)
    run.checkpoints.save({"network": network, "step": 12}, 12)
    LearnedImages("ffcv", 47, ("a", "b")).write(run.images)
    run.metrics.write_text('{"step": 9, "loss": 3.5}\n{"step": 12, "loss": 2.25, "health/global_std": 0.75}\n')
    run.validation.write_text('{"step": 12, "val_loss": 2.5}')
    results = [{"name": "knn.trained.accuracy", "value": 61.5, "unit": "%"}]
    (folder / "knn.json").write_text(json.dumps({"settings": {}, "results": results}))
    return folder


def features_of(run: Path, images: Tensor = IMAGES) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        maps, pooled = vicregl_fast.load_backbone(run)(images)
    return maps, pooled


def assert_close(value: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    assert expected.std() > 0.01
    torch.testing.assert_close(value, expected, atol=tolerance * float(expected.abs().max()), rtol=0)
