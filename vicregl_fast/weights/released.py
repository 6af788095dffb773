"""Names in the released VICRegL files: full checkpoints, and ConvNeXt backbones in their authors' names.

A full checkpoint is ``{epoch, model, optimizer}`` with ``module.`` before every key of its network. Its backbone has
torchvision's names (ResNet) or those of the ConvNeXt paper's code, in which backbones alone are released, too.
"""

import re

_PARTS = {"backbone": "", "projector": "expander", "maps_projector": "projector.mlp", "classifier": "classifier"}
_CONVNEXT = (
    (re.compile(r"^downsample_layers\.0\."), "stem."),
    (re.compile(r"^downsample_layers\.(\d+)\."), r"stages.\1.downsample."),
    (re.compile(r"^stages\.(\d+)\.(\d+)\."), r"stages.\1.blocks.\2."),
    (re.compile(r"\.dwconv\."), ".conv_dw."),
    (re.compile(r"\.pwconv(\d)\."), r".mlp.fc\1."),
    (re.compile(r"\.grn\.gamma$"), ".mlp.grn.weight"),
    (re.compile(r"\.grn\.beta$"), ".mlp.grn.bias"),
    (re.compile(r"^norm\."), "norm_pre."),
    (re.compile(r"^head\."), "head.fc."),
)


def part_of(key: str) -> tuple[str, str]:
    """Splits a key of a full checkpoint, without ``module.``, into the part of our network and the rest.

    The backbone's part is ``""``: what follows is in the names of its family.
    """
    part, _, rest = key.partition(".")
    return _PARTS.get(part, part), rest


def convnext_name(key: str) -> str:
    """timm's name (with the last norm before pooling) of a ConvNeXt's key in its authors' code."""
    for pattern, replacement in _CONVNEXT:
        key = pattern.sub(replacement, key)
    return key
