"""torchvision's names, and files that it loads. Its ResNets have timm's names; its ConvNeXts number their layers."""

import re

import torchvision
from torch import Tensor

from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.devices import shapes_only
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.models.config import BackboneConfig, architecture_name
from vicregl_fast.weights.filling import filled

MODELS = (
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152",
    "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2",
    "convnext_tiny", "convnext_small", "convnext_base", "convnext_large",
)  # fmt: skip
"""The models that timm and torchvision have under one name, with the same layers."""
_RESNET_USE = ("model.fc = torch.nn.Identity()  # its weights are zero; model(images) then gives the pooled vector",)
_CONVNEXT_USE = (
    "maps = model.classifier[0](model.features(images))  # model.classifier[2] has weights of zero",
    "pooled = maps.mean((2, 3))  # of normed cells, as in training; model(images) would norm after pooling",
)
_BLOCK = {"0": "conv_dw", "2": "norm", "3": "mlp.fc1", "5": "mlp.fc2"}


def convnext_name(key: str) -> str:
    """timm's name (with the last norm before pooling) of a ConvNeXt's key in torchvision."""
    if layer := re.fullmatch(r"features\.(\d+)\.(\d+)\.(.+)", key):
        number, place, rest = int(layer[1]), layer[2], layer[3]
        if number == 0:
            return f"stem.{place}.{rest}"
        if number % 2 == 0:
            return f"stages.{number // 2}.downsample.{place}.{rest}"
        return f"stages.{number // 2}.blocks.{place}.{_block_name(rest)}"
    return key.replace("classifier.0.", "norm_pre.").replace("classifier.2.", "head.fc.")


def _block_name(rest: str) -> str:
    if rest == "layer_scale":
        return "gamma"
    if layer := re.fullmatch(r"block\.(\d)\.(.+)", rest):
        return f"{_BLOCK.get(layer[1], layer[1])}.{layer[2]}"
    return rest


def torchvision_tensors(
    backbone: Backbone, architecture: BackboneConfig, classes: int
) -> tuple[dict[str, Tensor], list[str]]:
    """What a model of torchvision loads with ``load_state_dict(..., strict=True)``.

    Args:
        backbone: what is exported.
        architecture: its settings.
        classes: size of the classifier, whose weights are zero.

    Returns:
        The tensors by torchvision's keys, and the Python lines that load them from ``FILE``.

    Raises:
        UserError: torchvision has no such model.
    """
    name = architecture_name(architecture.name)
    if name not in MODELS:
        raise UserError(f"torchvision has no {name} with timm's layers, but {', '.join(MODELS)}: take --to timm")
    convnext = architecture.is_convnext
    with shapes_only():
        expected = torchvision.models.get_model(name, num_classes=classes).state_dict()
    lines = [
        f"model = torchvision.models.{name}(num_classes={classes}{_dilation(name, architecture)}).eval()",
        "model.load_state_dict(torch.load(FILE, weights_only=True))",
        *(_CONVNEXT_USE if convnext else _RESNET_USE),
    ]
    return filled(expected, backbone.model.state_dict(), convnext_name if convnext else str), lines


def _dilation(name: str, architecture: BackboneConfig) -> str:
    """The option that reaches this output stride, where torchvision has it: not in small ResNets and ConvNeXts."""
    output_stride = architecture.output_stride
    if output_stride == 32:
        return ""
    if name in ("resnet18", "resnet34") or architecture.is_convnext:
        note(f"torchvision's {name} has an output stride of 32 only, and the weights were trained at {output_stride}")
        return ""
    return f", replace_stride_with_dilation=[False, {output_stride == 8}, True]"
