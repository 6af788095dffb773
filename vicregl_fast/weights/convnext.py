"""What ConvNeXts' files have otherwise than our networks (docs/method.md, Network).

A layer scale: a block then adds γ·(W·h + b) to its input, which is (γ·W)·h + γ·b, so it is multiplied into the block's
last layer. And the last norm behind pooling, where ours is before it: a norm of the same channels.
"""

from collections.abc import Container, Mapping

from torch import Tensor

_SUFFIX = ".gamma"


def is_layer_scale(name: str) -> bool:
    """Whether this is timm's name of a layer scale."""
    return name.endswith(_SUFFIX)


def last_norm_name(name: str, network: Container[str]) -> str:
    """The name, in a network with the last norm before pooling, of that norm's tensors in timm's default."""
    before = name.replace(".head.norm.", ".norm_pre.")
    return before if name not in network and before in network else name


def without_layer_scale(tensors: Mapping[str, Tensor], network: Container[str]) -> dict[str, Tensor]:
    """Multiplies every layer scale that a network lacks into the layer before it.

    Args:
        tensors: by timm's names, with any prefix.
        network: the names of the network's tensors.

    Returns:
        The same, without those layer scales; one whose layer is missing or of another width stays.
    """
    folded = dict(tensors)
    for name in tensors:
        if not is_layer_scale(name) or name in network:
            continue
        layer = [f"{name.removesuffix(_SUFFIX)}.mlp.fc2.{kind}" for kind in ("weight", "bias")]
        gamma = tensors[name].flatten()
        if all(each in tensors and len(tensors[each]) == len(gamma) for each in layer):
            for each in layer:
                folded[each] = tensors[each] * gamma.view(-1, *[1] * (tensors[each].ndim - 1))
            del folded[name]
    return folded
