"""Runs of small backbones, and their exports."""

from pathlib import Path

import pytest

from tests.weights.exported import Export, write_run
from vicregl_fast.export import main
from vicregl_fast.models.config import ModelConfig


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs of small backbones, by name."""
    root = tmp_path_factory.mktemp("runs")
    return {
        name: write_run(root / name, ModelConfig(name, expander=8, projector=8))
        for name in ("resnet18", "convnext_atto", "convnext_tiny", "test_vit")
    }


@pytest.fixture
def export(runs: dict[str, Path], tmp_path: Path) -> Export:
    """Exports the run of a backbone."""

    def run(name: str, file: str, *options: str) -> Path:
        main([str(runs[name]), str(tmp_path / file), *options])
        return tmp_path / file

    return run
