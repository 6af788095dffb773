"""Backbones: any timm model with a spatial feature map."""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import timm
import torch
from torch import Tensor, nn

from dataprep.errors import UserError, reason_of
from vicregl_fast.models.config import BackboneConfig

ANY_SIZE: dict[str, dict[str, bool]] = {
    "deit": {"dynamic_img_size": True},
    "eva": {"dynamic_img_size": True},
    "vision_transformer": {"dynamic_img_size": True},
    "vision_transformer_hybrid": {"dynamic_img_size": True},
    "swin_transformer": {"strict_img_size": False},
    "swin_transformer_v2": {"strict_img_size": False},
    "swin_transformer_v2_cr": {"strict_img_size": False},
}
"""What makes models of one size take images of any, by the module of timm that has them."""
PREFIX_TOKENS = {"coat": 1, "volo": 1}
"""How many tokens come before the cells, where timm's models do not say it themselves."""

_FEW_VALUES = "more than 1 value per channel"
"""What torch says of a BatchNorm that learns and is given one image of one cell."""


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
        name: of the model.

    Attributes:
        name: of the model.
        channels: C, the number of channels of the map.
        prefix_tokens: how many tokens come before the cells: class token, registers.
    """

    def __init__(self, model: nn.Module, name: str):
        super().__init__()
        self.model = model
        self.name = name
        self.channels = int(model.num_features)  # type: ignore[arg-type]
        self.prefix_tokens = int(getattr(model, "num_prefix_tokens", PREFIX_TOKENS.get(_family(name), 0)))

    def forward(self, images: Tensor) -> FeatureMaps:
        """Computes the feature map [n, C, h, w] of images [n, 3, H, W], and its mean [n, C].

        Raises:
            UserError: the model gives something else than a feature map.
        """
        features = self.model.forward_features(images)  # type: ignore[operator]
        cells = self._channels_first(features, images.shape[2] / images.shape[3])
        if cells is None:
            shape = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
            raise UserError(
                f"{self.name} gives no feature map that can be used (but {shape} for images {tuple(images.shape)}): "
                "choose another backbone"
            )
        return FeatureMaps(cells, cells.mean((2, 3)))

    @property
    def embeds_patches(self) -> bool:
        """Whether it begins with an embedding of patches, as transformers do."""
        return hasattr(self.model, "patch_embed")

    @property
    def takes_stride(self) -> bool:
        """Whether dilation gives it other output strides than its own, without other weights."""
        return not self.embeds_patches

    def stride(self) -> int:
        """Pixels along a side of a cell, of an image of the size for which timm has the model."""
        size = getattr(self.model, "pretrained_cfg", {}).get("input_size", (3, 224, 224))
        with torch.no_grad():
            cells = self(torch.zeros(1, *size, device=next(self.parameters()).device)).map
        return round(size[1] / cells.shape[2])

    def _channels_first(self, features: object, aspect: float) -> Tensor | None:
        """Brings a timm model's features to [n, C, h, w], or gives None if they are no map.

        ``aspect`` is the images' height over their width.
        """
        if not isinstance(features, Tensor):
            return None
        if features.ndim == 4 and features.shape[1] == self.channels:
            return features
        if features.ndim == 4 and features.shape[3] == self.channels:  # channels last, as Swin gives them
            return features.permute(0, 3, 1, 2)
        if features.ndim == 3 and features.shape[2] == self.channels:
            cells = features[:, self.prefix_tokens :]  # what comes before them: class token, registers
            count = cells.shape[1]
            rows, columns = round((count * aspect) ** 0.5), round((count / aspect) ** 0.5)
            if rows * columns == count:  # patches are square and tile the image
                return cells.transpose(1, 2).unflatten(2, (rows, columns))
        return None


def build_backbone(config: BackboneConfig) -> Backbone:
    """Builds an untrained backbone, whose weights are drawn from torch's global generator.

    Raises:
        UserError: timm has no such model, or the model does not take one of the options.
    """
    check_backbone(config.name)
    try:
        model = timm.create_model(config.name, pretrained=False, num_classes=0, **timm_options(config))
    except Exception as error:  # timm's families refuse options in many ways
        raise UserError(
            f"{config.name} cannot be built with output_stride {config.output_stride}, "
            f"drop_path {config.drop_path} and zero_init {config.zero_init}: {reason_of(error)}"
        ) from error
    if config.is_convnext:
        _remove_layer_scale(model)
    return Backbone(model, config.name)


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


def checked_maps(backbone: Backbone, images: Tensor, needs_cells: bool = True) -> FeatureMaps:
    """Runs a backbone on images [n, 3, H, W] of a size that the user chose.

    Args:
        backbone: the backbone.
        images: normalised images.
        needs_cells: whether the map is used, not only the pooled vector.

    Raises:
        UserError: the model does not accept images of this size, or gives no map of cells where one is needed.
    """
    height, width = images.shape[2:]
    with says_which_size(backbone, images):
        features = backbone(images)
    if needs_cells and gives_one_vector(backbone, features.map, min(height, width)):
        raise UserError(
            f"{backbone.name} gives a single vector for images of {height}x{width} pixels and no map of cells, which "
            "the local criterion and segmentation need: choose another backbone (or train with --loss.alpha 1)"
        )
    return features


@contextmanager
def says_which_size(backbone: Backbone, images: Tensor) -> Iterator[None]:
    """Turns what a model raises of images [n, 3, H, W] into a sentence on their size, which the user chose.

    Raises:
        UserError: the model does not accept images of this size, or BatchNorm learns and has too few of them.
    """
    try:
        yield
    except (UserError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # timm's families refuse sizes in many ways
        if _FEW_VALUES in str(error):
            raise UserError(
                f"BatchNorm of {backbone.name} has a single value a channel in a batch of {len(images)}, and needs "
                "more to learn: raise --batch_size, or choose larger images"
            ) from error
        height, width = images.shape[2:]
        native = backbone.model.pretrained_cfg["input_size"][1:]  # type: ignore[index, union-attr]
        other = "" if (height, width) == native else f"; timm made {backbone.name} for {native[0]}x{native[1]}"
        raise UserError(
            f"the backbone cannot take images of {height}x{width} pixels: {reason_of(error)}{other}: "
            "choose another size, or a backbone that takes any"
        ) from error


def patch_sides(backbone: nn.Module) -> tuple[int, int]:
    """Height and width of a transformer's patches, which must tile its images; 1 and 1 of other models."""
    embedding = getattr(getattr(backbone, "model", None), "patch_embed", None)
    height, width = getattr(embedding, "patch_size", (1, 1))
    return height, width


def gives_one_vector(backbone: Backbone, maps: Tensor, side: int) -> bool:
    """Whether a map [n, C, h, w] of images of this shorter ``side`` in pixels has one cell where it should have more.

    A class token passes for such a map. By timm's account of the model's stride, a small image may have one cell, too.
    """
    try:
        stride = backbone.model.feature_info[-1]["reduction"]  # type: ignore[index, union-attr]
    except (AttributeError, IndexError, KeyError, TypeError):
        stride = 32  # not said
    return maps.shape[2:].numel() == 1 and side >= 2 * int(stride)


def feature_grid(backbone: Backbone, size: int, needs_cells: bool = True) -> int:
    """Number of cells along a side of a view's feature map, found by running the backbone on one view.

    Args:
        backbone: runs in eval mode, and is then set back to its mode.
        size: side of the square view in pixels.
        needs_cells: whether the map is used, not only the pooled vector.

    Raises:
        UserError: the model does not accept views of this size, or its map is not square, or is none where one is
            needed.
    """
    device = next(backbone.parameters()).device
    was_training = backbone.training
    backbone.eval()
    try:
        with torch.no_grad():
            maps = checked_maps(backbone, torch.zeros(1, 3, size, size, device=device), needs_cells).map
    finally:
        backbone.train(was_training)
    height, width = maps.shape[2:]
    if height != width:
        raise UserError(f"the backbone's map of a {size} pixel view is {height}x{width}, but must be square")
    return height


def _remove_layer_scale(model: nn.Module) -> None:
    """Turns off a ConvNeXt's layer scale (docs/method.md, Network): timm ignores ``ls_init_value=None``."""
    for block in model.modules():
        if isinstance(getattr(block, "gamma", None), nn.Parameter):
            block.gamma = None  # type: ignore[assignment]


def timm_options(config: BackboneConfig) -> dict[str, Any]:
    """The options, besides its name and ``num_classes``, with which ``timm.create_model`` builds this backbone."""
    options: dict[str, Any] = {}
    if config.output_stride != 32:
        options["output_stride"] = config.output_stride
    if not config.zero_init:
        options["zero_init_last"] = False
    if config.is_convnext:
        options["head_norm_first"] = True  # the last norm acts on each cell, before pooling
        options["head_hidden_size"] = 0  # some have a layer behind it, which belongs to the classifier
    if config.effective_drop_path:
        options["drop_path_rate"] = config.effective_drop_path
    return options | ANY_SIZE.get(_family(config.name), {})


def _family(name: str) -> str:
    """The module of timm that has this model, such as ``swin_transformer``."""
    return timm.models.model_entrypoint(name).__module__.rpartition(".")[2]
