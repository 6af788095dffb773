"""Networks with given weights: a backbone to be used, or the start of a training."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.devices import shapes_only
from vicregl_fast.models.backbone import Backbone, build_backbone
from vicregl_fast.models.config import BackboneConfig, ModelConfig
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.weights.fitting import Fit, fit, in_groups
from vicregl_fast.weights.names import BACKBONE, HEADS, PART
from vicregl_fast.weights.source import Weights, read_weights, same_model


def load_backbone(path: Path, backbone: str | None = None, output_stride: int | None = None) -> Backbone:
    """Loads a backbone, in eval mode on the CPU.

    Args:
        path: what ``read_weights`` reads.
        backbone: the timm model that it holds, for a file that does not say it.
        output_stride: pixels per cell of the feature map, reached by dilation; None for that of the training.

    Raises:
        UserError: the weights cannot be read, or do not fit the backbone.
    """
    return trained_backbone(read_weights(path, backbone), output_stride)


def trained_backbone(weights: Weights, output_stride: int | None = None) -> Backbone:
    """Builds the backbone of these weights, in eval mode on the CPU.

    A note names what it has no place for, but for the heads of a network like ours, which no judgement uses.

    Raises:
        UserError: a tensor is missing or has another shape, or the architecture has no such output stride.
    """
    backbone = drawn_backbone(weights.architecture, 0, output_stride)
    if output_stride is None and not weights.stride_known and backbone.takes_stride:
        note(
            f"{weights.path} does not say at which output stride it was trained: 32 is taken; --output_stride, or "
            "output_stride in Python, says otherwise",
            once=True,
        )
    fitted = fit(weights, {f"{PART}{name}": value for name, value in backbone.state_dict().items()})
    if fitted.not_given:
        lacking = in_groups(
            *([name.removeprefix(BACKBONE) for name in names] for names in (fitted.not_given, fitted.taken))
        )
        raise UserError(f"{weights.path} lacks {len(fitted.not_given)} tensors of a {backbone.name}: {lacking}")
    of_heads = {key for name, key in weights.keys.items() if name.startswith(HEADS)}
    left = [key for key in fitted.no_place if key not in of_heads]
    if left:
        note(f"a {backbone.name} has no place for {in_groups(left, weights.keys.values())} of {weights.path}")
    backbone.load_state_dict(backbone.state_dict() | _without_prefix(fitted.taken))
    return backbone


def drawn_backbone(architecture: BackboneConfig, seed: int, output_stride: int | None = None) -> Backbone:
    """Builds a backbone whose weights are drawn from ``seed``, in eval mode on the CPU.

    Raises:
        UserError: there is no such model, or it has no such output stride.
    """
    if output_stride is not None:
        architecture = replace(architecture, output_stride=output_stride)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_backbone(architecture).eval()


def check_start(config: ModelConfig, use_global: bool, use_local: bool) -> None:
    """Checks that the weights to start from, if there are any, fit the network, of which only shapes are made.

    Args:
        config: the network, and its ``weights``.
        use_global: whether there is an expander.
        use_local: whether there is a projector.

    Raises:
        UserError: as ``start_from``.
    """
    if config.weights is not None:
        with shapes_only():
            network = VICRegLNetwork(config, use_global, use_local)
        _start(network, config)


def start_from(network: VICRegLNetwork, config: ModelConfig) -> None:
    """Gives a network, in place, the weights of ``config.weights``: of its backbone, and of heads that are there.

    The online classifier stays as it is, since its classes are those of the training images. A note says which keys of
    the file found no place, and which tensors of the network were not given, or belong to heads of other widths, and
    stay as drawn.

    Raises:
        UserError: the weights cannot be read or are of another backbone, a tensor has another shape, or nothing fits.
    """
    fitted, weights = _start(network, config)
    network.load_state_dict(network.state_dict() | dict(fitted.taken))
    said = f"the network starts with {len(fitted.taken)} tensors of {weights.path}"
    if fitted.no_place:
        said += f", and has no place for {in_groups(fitted.no_place, weights.keys.values())}"
    if fitted.other_widths:
        groups = in_groups(fitted.other_widths, fitted.taken)
        said += f"; {groups} have other widths in the file, and are as drawn (--model.expander, --model.projector)"
    if fitted.not_given:
        said += f"; not in the file, and as drawn, are {in_groups(fitted.not_given, fitted.taken)}"
    note(said)


def _start(network: VICRegLNetwork, config: ModelConfig) -> tuple[Fit, Weights]:
    assert config.weights is not None
    weights = read_weights(Path(config.weights))
    if weights.stated is not None and not same_model(weights.stated.name, config.backbone):
        raise UserError(
            f"--model.weights {weights.path} holds a {weights.stated.name}, and --model.backbone is {config.backbone}"
        )
    return fit(weights, _learned(network)), weights


def _learned(network: VICRegLNetwork) -> Mapping[str, Tensor]:
    return {name: value for name, value in network.state_dict().items() if not name.startswith("classifier.")}


def _without_prefix(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(PART): value for name, value in tensors.items()}
