"""How much is worked on at a time, and in what precision."""

import torch
from torch import Tensor


def block_bytes(device: torch.device) -> int:
    """Bytes of a block: on a GPU enough to fill it, on a CPU what its caches and the allocator's free list hold."""
    return 1 << (28 if device.type == "cuda" else 23)


def widen(x: Tensor) -> Tensor:
    """``x`` in the precision of statistics: float64 as it is, everything else in float32."""
    return x if x.dtype == torch.float64 else x.float()
