"""How much of the device's arithmetic training uses: the operations of an image, and the device's own rate.

A multiplication and an addition count as two operations. What is counted are matrix products, convolutions and
attention, as ``torch.utils.flop_counter`` has them; norms, activations, loss and optimiser are left out.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vicregl_fast.devices import synchronize
from vicregl_fast.training.precision import Precision

TRAINING_OVER_FORWARD = 3
"""The backward pass forms two products, of the input's and of the weights' gradient, for each of the forward pass."""
LONG_ENOUGH = 0.02  # seconds of a product whose rate is taken
SIZES = (512, 1024, 2048, 4096, 8192)


@dataclass(frozen=True)
class Arithmetic:
    """What training asks of a device, and what the device can do.

    Attributes:
        per_image: floating-point operations of a training step for one image.
        per_second: floating-point operations a second of the device's matrix products.
    """

    per_image: float
    per_second: float

    @classmethod
    def measured(cls, network: nn.Module, sizes: Sequence[int], precision: Precision) -> "Arithmetic":
        """Counts the one and measures the other; arguments as of ``forward_flops`` and ``matrix_rate``."""
        device = next(network.parameters()).device
        return cls(TRAINING_OVER_FORWARD * forward_flops(network, sizes), matrix_rate(device, precision))

    def used(self, images_per_second: float) -> dict[str, float]:
        """``tflops``, 10^12 operations a second, and ``flop_utilisation``, their share of what the device can do.

        Args:
            images_per_second: that one process trains on.
        """
        done = images_per_second * self.per_image
        return {"tflops": done / 1e12, "flop_utilisation": done / self.per_second}


def forward_flops(network: nn.Module, sizes: Sequence[int]) -> int:
    """Floating-point operations of a forward pass in eval mode of one image.

    The network's state stays as it is: it runs on one blank image of every size, and is then set back to its mode.

    Args:
        network: takes a list of views, each [1, 3, S, S].
        sizes: side S of every view of the image, in pixels.
    """
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    total = 0
    try:
        for size, views in Counter(sizes).items():
            blank = torch.zeros(1, 3, size, size, device=device)
            with torch.no_grad(), torch.compiler.set_stance("force_eager"), FlopCounterMode(display=False) as counter:
                network([blank])  # a compiled network would be compiled for it, and its operations not be seen
            total += views * counter.get_total_flops()
    finally:
        network.train(was_training)
    return total


def matrix_rate(device: torch.device, precision: Precision) -> float:
    """Floating-point operations a second of square matrix products in a number format, without waiting for memory.

    The matrices grow until a product takes ``LONG_ENOUGH``; of two such products the faster one counts. It takes some
    tenths of a second.
    """
    generator = torch.Generator(device).manual_seed(0)  # the run's own draws stay
    for size in SIZES:
        a = torch.randn(size, size, device=device, dtype=precision.dtype, generator=generator)
        seconds = _seconds_of_product(a)  # the first one sets up the library
        if seconds >= LONG_ENOUGH or size == SIZES[-1]:
            break
    seconds = min(_seconds_of_product(a) for _ in range(2))
    return 2 * size**3 / seconds


def _seconds_of_product(a: torch.Tensor) -> float:
    synchronize(a.device)
    start = time.perf_counter()
    _ = a @ a
    synchronize(a.device)
    return time.perf_counter() - start
