"""Which tensors of a network some weights give, and what is left over on either side."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dataprep.errors import UserError
from vicregl_fast.weights.convnext import last_norm_name, without_layer_scale
from vicregl_fast.weights.names import BACKBONE, HEADS, PART, PREFIXES, names_within
from vicregl_fast.weights.source import Weights

_SHOWN = 5


@dataclass(frozen=True)
class Fit:
    """How weights fit a network.

    Attributes:
        taken: tensors in the network's shapes, by their names in it.
        no_place: keys in the file of those that the network has no place for.
        not_given: names of the network's tensors that the file lacks.
        other_widths: those of heads that have other widths in the file, and of which nothing is taken.
    """

    taken: Mapping[str, Tensor]
    no_place: list[str]
    not_given: list[str]
    other_widths: list[str]


def fit(weights: Weights, expected: Mapping[str, Tensor]) -> Fit:
    """Finds a place for every tensor.

    Where the whole backbone fits, heads may have other widths in the file.

    Args:
        weights: as read.
        expected: the tensors of a network or of its part, by the names of ``VICRegLNetwork``; only their shapes and
            kinds of numbers count.

    Raises:
        UserError: a tensor has another shape or kind of numbers than the network's, or none of the backbone's has a
            place.
    """
    weights = _without_prefix(weights, expected)
    places = {name: last_norm_name(name, expected) for name in weights.tensors}
    keys = {place: weights.keys[name] for name, place in places.items()}
    tensors = without_layer_scale({places[name]: value for name, value in weights.tensors.items()}, expected)
    common = [name for name in expected if name in tensors]
    taken = {name: _shaped(tensors[name], expected[name].shape) for name in common}
    wrong = [name for name in common if taken[name].shape != expected[name].shape]
    heads = tuple({head for head in HEADS for name in wrong if name.startswith(head)})
    if wrong and (any(name.startswith(PART) for name in wrong) or not _has_backbone(taken, expected)):
        shapes = [f"{keys[name]} {tuple(taken[name].shape)} for {tuple(expected[name].shape)}" for name in wrong]
        raise UserError(
            f"{len(wrong)} tensors of {weights.path} have other shapes than the network's: {_first(shapes)}; take the "
            "backbone and the widths of heads that it was trained with"
        )
    common = [name for name in common if not name.startswith(heads)]
    taken = {name: taken[name] for name in common}
    other = [name for name in common if taken[name].is_floating_point() != expected[name].is_floating_point()]
    if other:
        kinds = [f"{keys[name]} {taken[name].dtype} for {expected[name].dtype}" for name in other]
        raise UserError(f"{weights.path} holds other kinds of numbers than the network: {_first(kinds)}")
    if not any(name.startswith(PART) for name in common):
        raise UserError(
            f"nothing in {weights.path} fits the network: it holds {_first(sorted(weights.keys.values()))}, and the "
            f"network {_first([name.removeprefix(BACKBONE) for name in expected])}"
        )
    no_place = [keys[name] for name in tensors if name not in expected]
    other_widths = [name for name in expected if name.startswith(heads)]
    without = {*taken, *other_widths}
    not_given = [name for name in expected if name not in without and not name.endswith("num_batches_tracked")]
    return Fit(taken, no_place, not_given, other_widths)


def _without_prefix(weights: Weights, expected: Mapping[str, Tensor]) -> Weights:
    """The same weights; without a prefix of other libraries, if all of the backbone lies under it and not elsewhere."""
    if _has_backbone(weights.tensors, expected):
        return weights
    for prefix in PREFIXES:
        names = names_within(weights.keys.values(), prefix)
        if _has_backbone(names.values(), expected):
            tensors = {names[key]: weights.tensors[name] for name, key in weights.keys.items()}
            return replace(weights, tensors=tensors, keys={name: key for key, name in names.items()})
    return weights


def _has_backbone(names: Iterable[str], expected: Mapping[str, Tensor]) -> bool:
    """Whether these names are all that the backbone has."""
    places = {last_norm_name(name, expected) for name in names}
    return all(
        name in places for name in expected if name.startswith(PART) and not name.endswith("num_batches_tracked")
    )


def in_groups(names: Iterable[str], everything: Iterable[str]) -> str:
    """Lists names; a prefix that several have, and no other of ``everything``, stands for them, such as ``fc.*``."""
    chosen = list(names)
    others = {prefix for name in set(everything) - set(chosen) for prefix in _prefixes(name)}
    groups: dict[str, list[str]] = {}
    for name in chosen:
        alone = next((prefix for prefix in _prefixes(name) if prefix not in others), name)
        groups.setdefault(alone, []).append(name)
    return ", ".join(f"{prefix}.*" if len(members) > 1 else members[0] for prefix, members in groups.items())


def _prefixes(name: str) -> list[str]:
    words = name.split(".")
    return [".".join(words[:count]) for count in range(1, len(words))]


def _shaped(value: Tensor, shape: torch.Size) -> Tensor:
    """The value in this shape, if the two differ in trailing axes of one alone: a linear layer is a 1×1 convolution."""
    return value.reshape(shape) if _trimmed(value.shape) == _trimmed(shape) else value


def _trimmed(shape: torch.Size) -> list[int]:
    sizes = list(shape)
    while sizes and sizes[-1] == 1:
        sizes.pop()
    return sizes


def _first(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
