"""Measures a LARS step of a whole network: the formula tensor by tensor, and all tensors at once."""

from collections.abc import Iterator, Sequence
from statistics import median

import torch
from torch import Tensor

from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.timing import time_calls
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.optim.lars import LARS, lars_step_reference

RATE, DECAY, MOMENTUM = 1e-4, 1e-6, 0.9
LEAST_PASSES = 7
"""The bytes that a step must at least read and write, in multiples of the parameters' bytes. It reads gradients and
parameters for the norms (2); then it reads both and the momentum (3), and writes parameters and momentum (2)."""


def bench_optimizer(device: torch.device, model: ModelConfig, repeats: int) -> Iterator[Measurement]:
    """Measures seconds a step of ``lars_step_reference`` tensor by tensor and of ``LARS``, and their ratio.

    ``optimizer.bandwidth_share`` is the time that moving the bytes of ``LEAST_PASSES`` takes at the speed of a copy,
    over the time of a ``LARS`` step. At 1 a step is as fast as memory allows. Each time is a median of ``repeats``.
    """
    network = VICRegLNetwork(model, True, True).to(device)
    parameters = list(network.parameters())
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    buffers = [torch.zeros_like(parameter) for parameter in parameters]
    loop = Measurement.of("optimizer.loop", time_calls(lambda: _loop(parameters, buffers), device, repeats), "s")
    yield loop
    optimizer = LARS(parameters, RATE, DECAY, MOMENTUM)
    foreach = Measurement.of("optimizer.foreach", time_calls(optimizer.step, device, repeats), "s")
    yield from (foreach, Measurement.ratio("optimizer.speedup", loop.value, foreach.value))
    size = sum(parameter.numel() for parameter in parameters)
    source, target = (torch.zeros(size, device=device) for _ in range(2))
    copied = median(time_calls(lambda: target.copy_(source), device, repeats))
    yield Measurement.ratio("optimizer.bandwidth_share", LEAST_PASSES / 2 * copied, foreach.value)


@torch.no_grad()
def _loop(parameters: Sequence[Tensor], buffers: Sequence[Tensor]) -> None:
    """One step, which changes parameters and momentum buffers in place."""
    for parameter, buffer in zip(parameters, buffers, strict=True):
        assert parameter.grad is not None
        new, moved = lars_step_reference(parameter, parameter.grad, buffer, RATE, DECAY, MOMENTUM)
        parameter.copy_(new)
        buffer.copy_(moved)
