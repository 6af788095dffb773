"""Parameters that no output of a network depends on: parts of a timm model behind its feature map, such as a head."""

import copy

import torch
from torch import nn

from vicregl_fast.devices import shapes_only
from vicregl_fast.models.network import VICRegLNetwork


def freeze_unreached(network: VICRegLNetwork, size: int) -> list[str]:
    """Freezes the parameters that get no gradient from embeddings and maps, and returns their names.

    They would not learn, and DistributedDataParallel waits for a gradient of every parameter that is not frozen. They
    are found by a backward pass of a copy on the meta device, which computes shapes only.

    Args:
        network: as it will be trained; its online classifier, which is trained apart, is left as it is.
        size: side of a view in pixels.
    """
    try:
        unreached = _unreached(_on_meta(network), size)
    except (RuntimeError, NotImplementedError):  # it computes with values, which there are none of
        unreached = _unreached(copy.deepcopy(network), size)
    for name in unreached:
        network.get_parameter(name).requires_grad_(False)
    return unreached


def _on_meta(network: VICRegLNetwork) -> VICRegLNetwork:
    """A copy without values, for which no memory is needed."""
    empty: dict[int, object] = {id(p): nn.Parameter(p.to(shapes_only()), p.requires_grad) for p in network.parameters()}
    empty |= {id(buffer): buffer.to(shapes_only()) for buffer in network.buffers()}
    return copy.deepcopy(network, empty)


def _unreached(network: VICRegLNetwork, size: int) -> list[str]:
    device = next(network.parameters()).device
    with torch.enable_grad():
        outputs = network.train()([torch.zeros(2, 3, size, size, device=device)])
        reached = [tensor for tensors in (outputs.embeddings, outputs.maps) for tensor in tensors or ()]
        torch.stack([tensor.sum() for tensor in reached]).sum().backward()
    online = set() if network.classifier is None else set(network.classifier.parameters())
    learning = [(name, p) for name, p in network.named_parameters() if p.requires_grad and p not in online]
    return [name for name, parameter in learning if parameter.grad is None]
