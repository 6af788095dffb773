"""Trained networks and backbones out of a run's folder."""

from dataclasses import replace
from pathlib import Path

import torch

from dataprep.errors import UserError
from vicregl_fast.config import RunConfig, load_config
from vicregl_fast.models.backbone import Backbone, build_backbone
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.training.checkpoint import Checkpoints, load_checkpoint


def load_backbone(run: Path, random_init: bool = False, seed: int = 0, output_stride: int | None = None) -> Backbone:
    """The backbone of a run, in eval mode on the CPU.

    Args:
        run: a run's folder, or a checkpoint file in its ``checkpoints`` folder.
        random_init: the same architecture, untrained, drawn from ``seed``.
        seed: for ``random_init``.
        output_stride: another than the run's, by dilation.

    Raises:
        UserError: no run there, or no checkpoint that can be read.
    """
    config, checkpoint = _find(run)
    architecture = config.model.backbone_config
    if output_stride is not None:
        architecture = replace(architecture, output_stride=output_stride)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        backbone = build_backbone(architecture)
    if not random_init:
        prefix = "backbone."
        state = _read(checkpoint, run)["network"]
        backbone.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    return backbone.eval()


def load_network(run: Path) -> tuple[VICRegLNetwork, RunConfig]:
    """The whole network of a run, heads included, in eval mode on the CPU, and the run's configuration."""
    config, checkpoint = _find(run)
    state = _read(checkpoint, run)["network"]
    classes = state["classifier.weight"].shape[0] if "classifier.weight" in state else 0
    network = VICRegLNetwork(config.model, config.loss.alpha > 0, config.loss.alpha < 1, classes)
    network.load_state_dict(state)
    return network.eval(), config


def _find(run: Path) -> tuple[RunConfig, Path | None]:
    """The configuration of the run, and the checkpoint if a certain one is named."""
    folder = run.parent.parent if run.is_file() else run
    config = folder / "config.yaml"
    if not config.is_file():
        raise UserError(f"{run} is not a run of vicregl_fast.train: there is no {config}")
    return load_config(config), run if run.is_file() else None


def _read(checkpoint: Path | None, run: Path) -> dict:
    state = Checkpoints(run / "checkpoints").load_newest() if checkpoint is None else load_checkpoint(checkpoint)
    if state is None:
        raise UserError(f"the run in {run} has no checkpoint yet; train it first")
    broken = [name for name, value in state["network"].items() if not torch.isfinite(value).all()]
    if broken:
        raise UserError(
            f"{len(broken)} tensors of the network in {run} hold values that are no numbers, the first being "
            f"{broken[0]}: nothing can be judged by it; --run takes an older file of its checkpoints folder, too"
        )
    return state
