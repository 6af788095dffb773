"""How much of the loss is worked on at a time, in what precision, and constants that lie on the device already."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch import Tensor


def block_bytes(device: torch.device) -> int:
    """Bytes of a block: enough to keep a GPU busy, or what a CPU's caches and the allocator's free list hold."""
    return (256 if device.type == "cuda" else 12) << 20


def widen(x: Tensor) -> Tensor:
    """``x`` in the precision of statistics: float64 stays float64, every other type becomes float32."""
    return x if x.dtype == torch.float64 else x.float()


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Within it, products of float32 values are formed in float32: without autocast, and without TF32."""
    matmul = torch.backends.cuda.matmul
    before, matmul.allow_tf32 = matmul.allow_tf32, False
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        matmul.allow_tf32 = before


@lru_cache(maxsize=256)
def constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A vector of these values. It is made once, since a copy from the host would wait for the device every time."""
    return torch.tensor(values, dtype=dtype, device=device)
