"""Which name in our network a key of any file has."""

from collections.abc import Callable, Iterable

from vicregl_fast.weights import released, torchvision_models

PART = "backbone."
"""What comes before the name of a backbone's tensor in our network."""
HEADS = ("expander.", "projector.", "classifier.")
"""What comes before the names of the heads' tensors in our network."""
BACKBONE = f"{PART}model."
"""What comes before timm's name of a backbone's tensor."""
_WRAPPERS = ("_orig_mod.", "module.", "_orig_mod.")  # of torch.compile and DistributedDataParallel, in either order


PREFIXES = ("model.", "encoder_q.", "encoder.")
"""Under which other libraries keep a backbone among other parts: Lightning, MoCo, and others' habit."""


def names_within(keys: Iterable[str], prefix: str) -> dict[str, str]:
    """``network_names`` of the keys that begin with ``prefix``, without it; other keys keep themselves as names."""
    keys = list(keys)
    inside = {key: plain.removeprefix(prefix) for key in keys if (plain := _unwrapped(key)).startswith(prefix)}
    names = network_names(inside.values())
    return {key: names[inside[key]] if key in inside else key for key in keys}


def network_names(keys: Iterable[str]) -> dict[str, str]:
    """Returns, by the key in the file, the name in ``VICRegLNetwork``; what that lacks gets a name that it lacks."""
    plain = {key: _unwrapped(key) for key in keys}
    if any(key.startswith(BACKBONE) for key in plain.values()):  # of this package
        return plain
    if any(key.startswith(PART) for key in plain.values()):
        parts = {key: released.part_of(name) for key, name in plain.items()}
        rename = _backbone_names([rest for part, rest in parts.values() if not part])
        return {key: f"{part}.{rest}" if part else BACKBONE + rename(rest) for key, (part, rest) in parts.items()}
    rename = _backbone_names(plain.values())
    return {key: BACKBONE + rename(name) for key, name in plain.items()}


def _backbone_names(keys: Iterable[str]) -> Callable[[str], str]:
    """What gives timm's name to each of these keys of a backbone."""
    keys = set(keys)
    if "downsample_layers.0.0.weight" in keys:
        return released.convnext_name
    if "features.0.0.weight" in keys and "features.1.0.layer_scale" in keys:
        return torchvision_models.convnext_name
    return str


def _unwrapped(key: str) -> str:
    for wrapper in _WRAPPERS:
        key = key.removeprefix(wrapper)
    return key
