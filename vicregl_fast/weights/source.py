"""Weights as they come from a run or a file, in the names of our network."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.models.backbone import check_backbone
from vicregl_fast.models.config import BackboneConfig, architecture_name
from vicregl_fast.runs.folder import RunFolder
from vicregl_fast.runs.networks import check_finite, saved_state
from vicregl_fast.weights.names import network_names
from vicregl_fast.weights.safetensors_files import read_safetensors
from vicregl_fast.weights.torch_files import read_torch_file


@dataclass(frozen=True)
class Weights:
    """The weights of a network, or of its backbone alone.

    Attributes:
        path: where they lie, as the user names it.
        tensors: on the CPU, by the names of ``VICRegLNetwork``; those that it lacks have others.
        keys: the key in the file by the name in ``tensors``.
        stated: the backbone that the file is said to hold; None if nothing says it.
        run: folder of the run that trained them, if it is there.
        step: number of the step after which the run saved them.
        stride_known: whether ``stated`` has the output stride of the training, and not the usual one.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    keys: Mapping[str, str]
    stated: BackboneConfig | None
    run: RunFolder | None = None
    step: int | None = None
    stride_known: bool = True

    @property
    def architecture(self) -> BackboneConfig:
        """The backbone that they are of.

        Raises:
            UserError: nothing says it.
        """
        if self.stated is None:
            raise UserError(f"{self.path} does not say which backbone it holds: give --backbone NAME, such as resnet50")
        return self.stated

    @property
    def origin(self) -> dict[str, Any]:
        """The file that they are from, and of a run's checkpoint the step after which it was saved."""
        if self.run is None or self.step is None:
            return {"weights": self.path.name}
        return {"checkpoint": self.run.checkpoints.path(self.step).name, "step": self.step}


def read_weights(
    path: Path, backbone: str | None = None, output_stride: int | None = None, else_stated: bool = False
) -> Weights:
    """Reads weights: of this package, timm, torchvision or the released VICRegL.

    Args:
        path: a run's folder, one of its checkpoints, a file of safetensors (by its ending) or of ``torch.save``.
        backbone: the timm model that it holds, for a file that does not say it.
        output_stride: of its feature map, likewise; None for what the file says, or 32.
        else_stated: whether a file that states another backbone than ``backbone`` is taken for what it states.

    Raises:
        UserError: there is nothing that can be read, it holds another backbone than ``backbone``, or a tensor is
            non-finite or no weight.
    """
    weights = _of_run(path) if _is_run(path) else _of_file(path)
    stated = _agreed(weights, backbone, else_stated)
    if stated is None or output_stride is None:
        return replace(weights, stated=stated, stride_known=weights.stated is not None)
    return replace(weights, stated=replace(stated, output_stride=output_stride))


def _agreed(weights: Weights, backbone: str | None, else_stated: bool) -> BackboneConfig | None:
    """The backbone that a file states, or that a user names where it states none, or none that timm has."""
    stated = weights.stated
    if backbone is None or (stated is not None and same_model(stated.name, backbone)):
        return stated
    if stated is None:
        return BackboneConfig(backbone)
    try:
        check_backbone(architecture_name(stated.name))
    except UserError:
        note(f"{weights.path} says that it holds a {stated.name}, which timm does not have: taken as a {backbone}")
        return replace(stated, name=backbone)
    if else_stated:
        return stated
    raise UserError(f"{weights.path} holds a {stated.name}, not a {backbone}: leave out --backbone")


def same_model(name: str, other: str) -> bool:
    """Whether two timm names are of one architecture."""
    return architecture_name(name) == architecture_name(other)


def _is_run(path: Path) -> bool:
    if not path.is_file():
        return path.suffix == "" or path.is_dir()  # where nothing is, the sentence for runs is clearer
    run = RunFolder.holding(path.absolute())
    return run.config.is_file() and path.absolute() in run.checkpoints.paths()


def _of_run(path: Path) -> Weights:
    folder = RunFolder.holding(path.absolute() if path.is_file() else path)
    config = folder.read_config()
    state = saved_state(path)
    tensors = state["network"]
    return Weights(
        path, tensors, {name: name for name in tensors}, config.model.backbone_config, folder, state.get("step")
    )


def _check_kind(key: str, tensor: Tensor, path: Path) -> None:
    """Raises UserError for what is no plain tensor on the CPU."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        kind = f"{tensor.dtype}, {tensor.layout}, on {tensor.device}"
        raise UserError(f"{path} holds no plain tensor under {key} ({kind}): save it as one, on the CPU")


def _of_file(path: Path) -> Weights:
    if path.suffix == ".safetensors":
        stored, stated = read_safetensors(path)
    else:
        stored, stated = read_torch_file(path), None
    for key, tensor in stored.items():
        _check_kind(key, tensor, path)
    check_finite(stored, f"in {path}", "take a sound file")
    names = network_names(stored)
    keys = {name: key for key, name in names.items()}
    if len(keys) < len(names):
        twice = next(key for key, name in names.items() if keys[name] != key)
        raise UserError(f"{path} holds {keys[names[twice]]} and {twice}, which are one tensor: leave one")
    tensors = {name: stored[key] for name, key in keys.items()}
    return Weights(path, tensors, keys, stated)
