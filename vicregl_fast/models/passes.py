"""How a network passes its batches: compiled, or with activations that are computed again in the backward pass."""

from torch import nn

from dataprep.errors import UserError
from vicregl_fast.models.backbone import Backbone


def compile_backbone(backbone: Backbone, cuda_graphs: bool = False) -> None:
    """Lets torch.compile compile the backbone at its first pass of each size of view; names of parameters stay.

    Args:
        backbone: is compiled in place.
        cuda_graphs: record its kernels in CUDA graphs, which spares the host their launches.
    """
    backbone.compile(dynamic=False, mode="reduce-overhead" if cuda_graphs else None)


def recomputes_activations(network: nn.Module) -> bool:
    """Whether ``recompute_activations`` was called for the network's backbone."""
    return any(getattr(module, "grad_checkpointing", False) for module in network.modules())


def recompute_activations(backbone: Backbone) -> None:
    """Lets the backbone keep the inputs of its blocks only, and compute the rest again in the backward pass.

    Drop path then draws what it drew before. But BatchNorm counts its batch again, and whoever makes the backward pass
    must undo that.

    Raises:
        UserError: timm's model cannot do it.
    """
    try:
        backbone.model.set_grad_checkpointing(True)  # type: ignore[operator]
    except (AssertionError, AttributeError, NotImplementedError, TypeError) as error:
        raise UserError(
            f"timm cannot compute the activations of {backbone.name} again: leave train.checkpoint_activations at "
            "false, or make memory by --train.chunk"
        ) from error
