"""Loads what a run has saved: its network, as it was trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dataprep.errors import UserError
from vicregl_fast.config import RunConfig
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.runs.checkpoints import load_checkpoint
from vicregl_fast.runs.folder import RunFolder


def load_network(run: Path) -> tuple[VICRegLNetwork, RunConfig]:
    """Loads the whole network of a run, heads included, in eval mode on the CPU, and the run's configuration.

    Args:
        run: a run's folder, or one of its checkpoint files.

    Raises:
        UserError: there is no run, it has no checkpoint that can be read, or its weights are non-finite.
    """
    config = RunFolder.holding(run).read_config()
    state = saved_state(run)["network"]
    classes = state["classifier.weight"].shape[0] if "classifier.weight" in state else 0
    network = VICRegLNetwork(config.model, config.loss.alpha > 0, config.loss.alpha < 1, classes)
    network.load_state_dict(state)
    return network.eval(), config


def saved_state(run: Path) -> dict[str, Any]:
    """Loads the newest checkpoint of a run that can be read; its network is under ``"network"``.

    Args:
        run: a run's folder, or one of its checkpoint files, which is then the one.

    Raises:
        UserError: there is no checkpoint that can be read, or its network's weights are non-finite.
    """
    newest = RunFolder(run).checkpoints.load_newest
    state = load_checkpoint(run) if run.is_file() else newest(remedy="give another run")
    if state is None:
        raise UserError(f"the run in {run} has no checkpoint yet; train it first")
    older = "give --run an older file from the run's checkpoints folder"
    check_finite(state["network"], f"of the network in {run}", older)
    return state


def check_finite(tensors: Mapping[str, Tensor], which: str, remedy: str) -> None:
    """Checks that no tensor holds a non-finite value.

    Args:
        tensors: by their names.
        which: says in the error whose they are.
        remedy: what the user can do.

    Raises:
        UserError: some do; the message names the first.
    """
    broken = [name for name, value in tensors.items() if not torch.isfinite(value).all()]
    if broken:
        raise UserError(
            f"{len(broken)} tensors {which} hold non-finite values, the first being {broken[0]}: "
            f"it cannot be used; {remedy}"
        )
