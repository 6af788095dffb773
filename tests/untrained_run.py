"""A run folder with a small untrained network in it."""

from pathlib import Path

import torch

from vicregl_fast.config import RunConfig, dump_config
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.runs.checkpoints import Checkpoints


def write_untrained_run(folder: Path) -> Path:
    """Writes what training leaves, as far as judging reads it, into a folder that is there."""
    config = RunConfig(model=ModelConfig("resnet18", output_stride=16, expander=8, projector=8))
    (folder / "config.yaml").write_text(dump_config(config))
    torch.manual_seed(0)
    network = VICRegLNetwork(config.model, use_global=True, use_local=True)
    Checkpoints(folder / "checkpoints").save({"network": network.state_dict(), "step": 1}, step=1)
    return folder
