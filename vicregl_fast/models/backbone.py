"""Backbones: any timm model with a spatial feature map."""

import difflib
from typing import Any, NamedTuple

import timm
import torch
from torch import Tensor, nn

from dataprep.errors import UserError
from vicregl_fast.models.config import BackboneConfig


class FeatureMaps(NamedTuple):
    """What a backbone returns for one view of n samples.

    Attributes:
        map: the feature map, [n, C, h, w].
        pooled: the mean of its cells, [n, C].
    """

    map: Tensor
    pooled: Tensor


class Backbone(nn.Module):
    """Wraps a timm model, so that models of every family return a feature map and its pooled vector in one form.

    Args:
        model: the timm model, without a classifier.
        channels: number of channels of its map.

    Attributes:
        channels: C, the number of channels of the map.
    """

    def __init__(self, model: nn.Module, channels: int):
        super().__init__()
        self.model = model
        self.channels = channels

    def forward(self, images: Tensor) -> FeatureMaps:
        """Computes the feature map [n, C, h, w] of images [n, 3, H, W], and its mean [n, C]."""
        height, width = images.shape[2:]
        features = self._channels_first(self.model.forward_features(images), height / width)  # type: ignore[operator]
        return FeatureMaps(features, features.mean((2, 3)))

    def _channels_first(self, features: Tensor, aspect: float) -> Tensor:
        """Brings a timm model's features to [n, C, h, w]; ``aspect`` is the images' height over their width."""
        if features.ndim == 3:  # a transformer's tokens: the prefix (class token, registers), then the cells
            cells = features[:, getattr(self.model, "num_prefix_tokens", 0) :]
            rows = round((cells.shape[1] * aspect) ** 0.5)  # exact: patches are square and tile the image
            return cells.transpose(1, 2).unflatten(2, (rows, -1))
        if features.shape[1] != self.channels:  # channels last, as Swin gives them
            return features.permute(0, 3, 1, 2)
        return features


def build_backbone(config: BackboneConfig) -> Backbone:
    """Builds an untrained backbone, whose weights are drawn from torch's global generator.

    Raises:
        UserError: timm has no such model, or the model does not take one of the options.
    """
    check_backbone(config.name)
    try:
        model = timm.create_model(config.name, pretrained=False, num_classes=0, **_model_options(config))
    except (TypeError, AssertionError, NotImplementedError) as error:
        raise UserError(
            f"{config.name} cannot be built with output_stride {config.output_stride}, "
            f"drop_path {config.drop_path} and zero_init {config.zero_init}: {error}"
        ) from error
    if config.is_convnext:
        _remove_layer_scale(model)
    return Backbone(model, int(model.num_features))  # type: ignore[arg-type]


def check_backbone(name: str) -> None:
    """Checks that timm has a model of this name.

    Raises:
        UserError: it has none; the message gives similar names.
    """
    models = timm.list_models()
    if name not in models:
        near = ", ".join(difflib.get_close_matches(name, models, 3))
        hint = f"; near it are {near}" if near else ""
        raise UserError(f"timm has no model named {name!r}{hint} (timm.list_models() names them all)")


def checked_maps(backbone: Backbone, images: Tensor) -> FeatureMaps:
    """Runs a backbone on images [n, 3, H, W] of a size that the user chose.

    Raises:
        UserError: the model does not accept images of this size.
    """
    try:
        return backbone(images)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError) as error:
        height, width = images.shape[2:]
        raise UserError(f"the backbone cannot take images of {height}x{width} pixels: {error}") from error


def feature_grid(backbone: Backbone, size: int) -> int:
    """Number of cells along a side of a view's feature map, found by running the backbone on one view.

    Args:
        backbone: runs in eval mode, and is then set back to its mode.
        size: side of the square view in pixels.

    Raises:
        UserError: the model does not accept views of this size, or its map is not square.
    """
    device = next(backbone.parameters()).device
    was_training = backbone.training
    backbone.eval()
    try:
        with torch.no_grad():
            height, width = checked_maps(backbone, torch.zeros(1, 3, size, size, device=device)).map.shape[2:]
    finally:
        backbone.train(was_training)
    if height != width:
        raise UserError(f"the backbone's map of a {size} pixel view is {height}x{width}, but must be square")
    return height


def _remove_layer_scale(model: nn.Module) -> None:
    """Turns off a ConvNeXt's layer scale (docs/method.md, Network): timm ignores ``ls_init_value=None``."""
    for block in model.modules():
        if isinstance(getattr(block, "gamma", None), nn.Parameter):
            block.gamma = None  # type: ignore[assignment]


def _model_options(config: BackboneConfig) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if config.output_stride != 32:
        options["output_stride"] = config.output_stride
    drop_path = config.drop_path
    if not config.zero_init:
        options["zero_init_last"] = False
    if config.is_convnext:
        options["head_norm_first"] = True  # the last norm acts on each cell, before pooling
        drop_path = 0.1 if drop_path is None else drop_path
    if drop_path:
        options["drop_path_rate"] = drop_path
    if config.name.startswith(("vit", "deit", "beit", "eva")):
        options["dynamic_img_size"] = True
    return options
