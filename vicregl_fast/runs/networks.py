"""Loads the network of a run, or its backbone alone."""

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
    """Loads the backbone of a run, in eval mode on the CPU.

    Args:
        run: a run's folder, or one of its checkpoint files.
        random_init: give the same architecture untrained, drawn from ``seed``, instead of the trained one.
        seed: used with ``random_init`` only.
        output_stride: pixels per cell of the feature map, reached by dilation; None for the run's own.

    Raises:
        UserError: there is no run, it has no checkpoint that can be read, its weights are non-finite, or the
            architecture has no such output stride.
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
    """Loads the whole network of a run, heads included, in eval mode on the CPU, and the run's configuration.

    Args:
        run: a run's folder, or one of its checkpoint files.

    Raises:
        UserError: there is no run, it has no checkpoint that can be read, or its weights are non-finite.
    """
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
            "it cannot be used; give --run an older file from the run's checkpoints folder"
        )
    return state["network"]
