"""Names in torchvision's models. Its ResNets have timm's; its ConvNeXts number their layers."""

import re

MODELS = (
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152",
    "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2",
    "convnext_tiny", "convnext_small", "convnext_base", "convnext_large",
)  # fmt: skip
"""The models that timm and torchvision have under one name, with the same layers."""
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
