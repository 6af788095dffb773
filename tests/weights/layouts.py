"""Files in every layout, with drawn weights, and what computes their features without this package."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

Tensors = dict[str, Tensor]

CONVNEXT_DEPTHS, CONVNEXT_WIDTHS = (2, 2, 6, 2), (40, 80, 160, 320)  # timm's convnext_atto


def drawn(model: nn.Module, seed: int) -> Tensors:
    """A model's tensors, each drawn so that it matters: scales and variances are positive."""
    generator = torch.Generator().manual_seed(seed)
    return {
        key: value if not value.is_floating_point() else _drawn(key, value.shape, generator)
        for key, value in model.state_dict().items()
    }


def _drawn(key: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    if len(shape) > 1 and not key.endswith("layer_scale"):
        return torch.randn(shape, generator=generator) / (shape[1:].numel() ** 0.5)
    if key.endswith(("weight", "running_var", "gamma", "layer_scale")):
        return 0.5 + torch.rand(shape, generator=generator)
    return 0.1 * torch.randn(shape, generator=generator)


def head(prefix: str, channels: int, width: int, norm: str, seed: int) -> Tensors:
    """A released head: layers 0, 1, 3, 4 and 6."""
    make = nn.BatchNorm1d if norm == "batch" else nn.LayerNorm
    layers = {
        "0": nn.Linear(channels, width),
        "1": make(width),
        "3": nn.Linear(width, width),
        "4": make(width),
        "6": nn.Linear(width, width, bias=False),
    }
    return {f"{prefix}.{key}": value for key, value in drawn(nn.ModuleDict(layers), seed).items()}


def resnet_tensors(name: str, seed: int) -> Tensors:
    """A ResNet's without fc, in torchvision's names."""
    tensors = drawn(torchvision.models.get_model(name), seed)
    return {key: value for key, value in tensors.items() if not key.startswith("fc.")}


def resnet_features(name: str, tensors: Tensors, images: Tensor) -> tuple[Tensor, Tensor]:
    """The last map and its mean, by torchvision's ResNet."""
    model = torchvision.models.get_model(name).eval()
    model.fc = nn.Identity()
    model.load_state_dict(tensors)
    with torch.no_grad():
        maps = nn.Sequential(*list(model.children())[:-2])(images)
        return maps, model(images)


def convnext_tensors(seed: int) -> Tensors:
    """A small ConvNeXt's in the names of its authors' code, without layer scale and head."""
    shapes: dict[str, tuple[int, ...]] = {}

    def layer(name: str, *shape: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]

    for stage, (depth, width) in enumerate(zip(CONVNEXT_DEPTHS, CONVNEXT_WIDTHS, strict=True)):
        if stage == 0:
            layer("downsample_layers.0.0", width, 3, 4, 4)
            layer("downsample_layers.0.1", width)
        else:
            before = CONVNEXT_WIDTHS[stage - 1]
            layer(f"downsample_layers.{stage}.0", before)
            layer(f"downsample_layers.{stage}.1", width, before, 2, 2)
        for block in range(depth):
            here = f"stages.{stage}.{block}"
            layer(f"{here}.dwconv", width, 1, 7, 7)
            layer(f"{here}.norm", width)
            layer(f"{here}.pwconv1", 4 * width, width)
            layer(f"{here}.pwconv2", width, 4 * width)
    layer("norm", CONVNEXT_WIDTHS[-1])
    generator = torch.Generator().manual_seed(seed)
    return {key: _drawn(key, torch.Size(shape), generator) for key, shape in shapes.items()}


def convnext_features(tensors: Tensors, images: Tensor) -> tuple[Tensor, Tensor]:
    """The last map, each cell normed, and its mean: the ConvNeXt written out, without layer scale."""

    def both(name: str) -> tuple[Tensor, Tensor]:
        return tensors[f"{name}.weight"], tensors[f"{name}.bias"]

    def norm(x: Tensor, name: str) -> Tensor:  # over the channels of each cell
        weight, bias = both(name)
        return F.layer_norm(x.permute(0, 2, 3, 1), weight.shape, weight, bias, 1e-6).permute(0, 3, 1, 2)

    x = norm(F.conv2d(images, *both("downsample_layers.0.0"), stride=4), "downsample_layers.0.1")
    for stage, depth in enumerate(CONVNEXT_DEPTHS):
        if stage:
            here = f"downsample_layers.{stage}"
            x = F.conv2d(norm(x, f"{here}.0"), *both(f"{here}.1"), stride=2)
        for block in range(depth):
            here = f"stages.{stage}.{block}"
            y = norm(F.conv2d(x, *both(f"{here}.dwconv"), padding=3, groups=x.shape[1]), f"{here}.norm")
            y = F.linear(F.gelu(F.linear(y.permute(0, 2, 3, 1), *both(f"{here}.pwconv1"))), *both(f"{here}.pwconv2"))
            x = x + y.permute(0, 3, 1, 2)
    x = norm(x, "norm")
    return x, x.mean((2, 3))


@contextmanager
def named_function(module: str, name: str) -> Iterator[object]:
    """A function that pickle names ``module.name``, which is not there when the block has ended."""
    made = ModuleType(module)

    def function() -> None: ...

    function.__module__, function.__qualname__ = module, name
    setattr(made, name, function)
    sys.modules[module] = made
    try:
        yield function
    finally:
        del sys.modules[module]


def write_full(path: Path, network: Tensors, module: str = "optimizers", name: str = "exclude_bias_and_norm") -> Path:
    """A full released checkpoint: the optimiser's groups name a function."""
    with named_function(module, name) as function:
        groups = [{"lr": 0.2, "weight_decay_filter": function, "params": [0, 1]}]
        model = {f"module.{key}": value for key, value in network.items()}
        torch.save({"epoch": 300, "model": model, "optimizer": {"state": {}, "param_groups": groups}}, path)
    return path
