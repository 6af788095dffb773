"""Where a program computes. The only place that makes devices; a GPU always has its number.

``torch.device("cuda")`` and ``torch.device("cuda", 0)`` name the same GPU, yet compare as different, so that a tensor
that lies on a device already would be copied to it.
"""

from functools import cache
from typing import Literal

import torch

from dataprep.errors import UserError

DeviceName = Literal["auto", "cpu", "cuda"]


def choose_device(name: DeviceName = "auto", number: int = 0) -> torch.device:
    """The CPU, or GPU ``number`` of this machine; ``auto`` takes the GPU where there is one.

    Raises:
        UserError: ``cuda`` where torch finds no GPU, or fewer than ``number`` asks for.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UserError("the device cuda is asked for, but torch finds no CUDA device here; leave it at auto")
    if number >= torch.cuda.device_count():
        raise UserError(
            f"process {number} of this machine has no GPU of its own, there are {torch.cuda.device_count()}; "
            "start as many processes as GPUs"
        )
    return torch.device("cuda", number)


@cache
def side_stream(device: torch.device) -> torch.cuda.Stream:
    """The stream of a GPU on which batches are prepared while the step runs on the current one.

    One for the whole program: torch's allocator keeps freed memory for the stream that it was taken on, so that a new
    stream for each epoch would take new memory for each.
    """
    return torch.cuda.Stream(device)
