"""What other libraries' models expect and our backbones lack."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from vicregl_fast.weights.convnext import is_layer_scale


def filled(
    expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor], timm_name: Callable[[str], str] = str
) -> dict[str, Tensor]:
    """The tensors of a library's model that computes what our backbone does, by the library's keys.

    A layer scale is one. What else our backbone lacks is the classifier, which is zero.

    Args:
        expected: those of the library's model, of which only shapes and types count.
        tensors: our backbone's, by timm's names.
        timm_name: gives timm's name to a key of the library.
    """
    found = {}
    for key, value in expected.items():
        name = timm_name(key)
        if name in tensors:
            found[key] = tensors[name].reshape(value.shape).clone()
        else:
            found[key] = (torch.ones if is_layer_scale(name) else torch.zeros)(value.shape, dtype=value.dtype)
    return found
