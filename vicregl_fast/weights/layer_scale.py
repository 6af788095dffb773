"""The layer scale of ConvNeXts, which our networks lack (docs/method.md, Network) and others' files have.

A block adds γ·(W·h + b) to its input, which is (γ·W)·h + γ·b: it is multiplied into the block's last layer.
"""

from torch import Tensor

_SUFFIX = ".gamma"


def is_layer_scale(name: str) -> bool:
    """Whether this is timm's name of a layer scale."""
    return name.endswith(_SUFFIX)


def without_layer_scale(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Multiplies every layer scale into the layer before it.

    Args:
        tensors: by timm's names, with any prefix.

    Returns:
        The same, without those layer scales; one whose layer is missing or of another width stays.
    """
    folded = dict(tensors)
    for name in filter(is_layer_scale, tensors):
        layer = [f"{name.removesuffix(_SUFFIX)}.mlp.fc2.{kind}" for kind in ("weight", "bias")]
        gamma = tensors[name].flatten()
        if all(each in tensors and len(tensors[each]) == len(gamma) for each in layer):
            for each in layer:
                folded[each] = tensors[each] * gamma.view(-1, *[1] * (tensors[each].ndim - 1))
            del folded[name]
    return folded
