"""The maps of a backbone's stages, as segmentation reads them; the last one alone is ``Backbone``'s."""

from typing import Any

from torch import Tensor

from dataprep.errors import UserError
from vicregl_fast.models.backbone import Backbone, says_which_size

STAGES = 4
"""How many stages are taken, the last ones; of a ViT, blocks."""


def stage_channels(backbone: Backbone) -> tuple[int, ...]:
    """The channels of each of the last stages.

    Raises:
        UserError: timm does not give the stages of this model.
    """
    stages: list[dict[str, Any]] = list(getattr(backbone.model, "feature_info", []))[-STAGES:]  # type: ignore[arg-type]
    if len(stages) < STAGES or not hasattr(backbone.model, "forward_intermediates"):
        raise UserError(
            f"timm gives no {STAGES} stages of {backbone.name}: give --features last, or choose another backbone"
        )
    return tuple(int(stage["num_chs"]) for stage in stages)


def stage_maps(backbone: Backbone, images: Tensor) -> list[Tensor]:
    """The maps [n, C, h, w] of the last stages of images [n, 3, H, W], raw: the model's last norm is left out.

    Raises:
        UserError: the model does not accept images of this size.
    """
    with says_which_size(backbone, images):
        return backbone.model.forward_intermediates(  # type: ignore[operator]
            images, indices=STAGES, norm=False, output_fmt="NCHW", intermediates_only=True
        )
