"""Files that timm loads. Its names are ours."""

from dataclasses import replace

import timm
from torch import Tensor

from vicregl_fast.devices import shapes_only
from vicregl_fast.models.backbone import Backbone, timm_options
from vicregl_fast.models.config import BackboneConfig
from vicregl_fast.weights.filling import filled


def timm_tensors(backbone: Backbone, architecture: BackboneConfig, classes: int) -> tuple[dict[str, Tensor], str]:
    """What ``timm.create_model(NAME, num_classes=classes, checkpoint_path=FILE, ...)`` loads strictly.

    Args:
        backbone: what is exported.
        architecture: its settings.
        classes: size of the classifier, whose weights are zero; 0 for none.

    Returns:
        The tensors by timm's keys, and the Python lines that load them from ``FILE`` and give the pooled vector.
    """
    options = {"num_classes": classes, **timm_options(replace(architecture, drop_path=0.0, zero_init=True))}
    with shapes_only():
        expected = timm.create_model(architecture.name, **options).state_dict()
    words = ", ".join(f"{name}={value}" for name, value in options.items())
    line = f"model = timm.create_model({architecture.name!r}, checkpoint_path=FILE, {words}).eval()"
    if first := backbone.prefix_tokens:  # model(images) would give the class token
        line += f"\npooled = model.forward_features(images)[:, {first}:].mean(1)"
    return filled(expected, backbone.model.state_dict()), line
