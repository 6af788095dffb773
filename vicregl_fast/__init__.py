"""VICRegL pretraining at the speed of the hardware (Bardes, Ponce, LeCun, NeurIPS 2022)."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vicregl_fast.caches import use_writable_caches

if TYPE_CHECKING:
    from vicregl_fast.models.backbone import Backbone

# Set before torch allocates its first memory. It lets torch put large CPU tensors on huge pages where Linux leaves the
# choice to programs. On small pages, the page faults of a fresh tensor take five times as long as filling it.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

use_writable_caches()

# Makes numba.cuda mean numba-cuda also where that lies in a folder of PYTHONPATH, whose .pth files Python does not run.
# Numba has a CUDA target of its own, which would be taken in silence.
with suppress(ImportError):
    import _numba_cuda_redirector  # noqa: F401


def load_backbone(path: str | Path, backbone: str | None = None, output_stride: int | None = None) -> "Backbone":
    """Loads a trained backbone, in eval mode on the CPU: images [n, 3, H, W] to a map [n, C, h, w] and its mean [n, C].

    Args:
        path: a run's folder, one of its checkpoints, or a file of weights (timm, torchvision, safetensors, released
            VICRegL).
        backbone: the timm model that it holds, for a file that does not say it.
        output_stride: pixels per cell of the feature map, reached by dilation; None for that of the training.

    Raises:
        UserError: the weights cannot be read, or do not fit the backbone.
    """
    from vicregl_fast.weights.loading import load_backbone

    return load_backbone(Path(path), backbone, output_stride)
