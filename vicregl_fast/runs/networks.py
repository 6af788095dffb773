"""Networks and backbones that a run has trained."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dataprep.errors import UserError
from vicregl_fast.config import RunConfig
from vicregl_fast.models.backbone import Backbone, build_backbone
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.runs.checkpoints import load_checkpoint
from vicregl_fast.runs.folder import RunFolder


def load_backbone(run: Path, random_init: bool = False, seed: int = 0, output_stride: int | None = None) -> Backbone:
    """The backbone of a run, in eval mode on the CPU.

    Args:
        run: a run's folder, or one of its checkpoint files.
        random_init: the same architecture, untrained, drawn from ``seed``.
        seed: for ``random_init``.
        output_stride: another than the run's, by dilation.

    Raises:
        UserError: no run there, or no checkpoint that can be read.
    """
    architecture = RunFolder.holding(run).read_config().model.backbone_config
    if output_stride is not None:
        architecture = replace(architecture, output_stride=output_stride)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        backbone = build_backbone(architecture)
    if not random_init:
        prefix = "backbone."
        state = _network_state(run)
        backbone.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    return backbone.eval()


def load_network(run: Path) -> tuple[VICRegLNetwork, RunConfig]:
    """The whole network of a run, heads included, in eval mode on the CPU, and the run's configuration."""
    config = RunFolder.holding(run).read_config()
    state = _network_state(run)
    classes = state["classifier.weight"].shape[0] if "classifier.weight" in state else 0
    network = VICRegLNetwork(config.model, config.loss.alpha > 0, config.loss.alpha < 1, classes)
    network.load_state_dict(state)
    return network.eval(), config


def _network_state(run: Path) -> dict[str, Any]:
    state = load_checkpoint(run) if run.is_file() else RunFolder(run).checkpoints.load_newest()
    if state is None:
        raise UserError(f"the run in {run} has no checkpoint yet; train it first")
    broken = [name for name, value in state["network"].items() if not torch.isfinite(value).all()]
    if broken:
        raise UserError(
            f"{len(broken)} tensors of the network in {run} hold non-finite values, the first being {broken[0]}: "
            "nothing can be judged by it; --run takes an older file of its checkpoints folder, too"
        )
    return state["network"]
