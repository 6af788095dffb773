"""Measures a LARS step of a whole network: the formula tensor by tensor, and every other backend that works here."""

from collections.abc import Iterator
from statistics import median

import torch

from dataprep.notes import note
from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.timing import in_a_row, time_calls
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.optim.config import LarsBackend
from vicregl_fast.optim.lars import LARS
from vicregl_fast.optim.lars_backends.choice import obstacle

RATE, DECAY, MOMENTUM = 1e-4, 1e-6, 0.9
LEAST_PASSES = 7
"""The bytes that a step must at least read and write, in multiples of the parameters' bytes. It reads gradients and
parameters for the norms (2); then it reads both and the momentum (3), and writes parameters and momentum (2)."""

PREFIXES: dict[LarsBackend, str] = {
    "foreach": "optimizer", "triton": "optimizer.triton", "apex": "optimizer.apex",
}  # fmt: skip
"""Before ``speedup`` and ``bandwidth_share``; foreach's rows are older than the others."""


def bench_optimizer(device: torch.device, model: ModelConfig, repeats: int) -> Iterator[Measurement]:
    """Measures seconds a step of ``LARS`` by the loop, by foreach, and by Triton and Apex where they work.

    ``speedup`` is the time of the loop over that of a backend. ``bandwidth_share`` is the time that moving the bytes of
    ``LEAST_PASSES`` takes at the speed of a copy, over the time of a step. At 1 a step is as fast as memory allows. Of
    foreach they are ``optimizer.speedup``, of another backend ``optimizer.triton.speedup``. Each time is a median of
    ``repeats``.
    """
    network = VICRegLNetwork(model, True, True).to(device)
    parameters = list(network.parameters())
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    size = sum(parameter.numel() for parameter in parameters)
    least = LEAST_PASSES / 2 * _copying(size, device, repeats)

    def measure(backend: LarsBackend) -> Measurement:
        optimizer = LARS(parameters, RATE, DECAY, MOMENTUM, backend)
        seconds = time_calls(optimizer.step, device, repeats, in_a_row(device))
        return Measurement.of(f"optimizer.{backend}", seconds, "s")

    loop = measure("loop")
    yield loop
    for backend, prefix in PREFIXES.items():
        if reason := obstacle(backend, device):
            note(f"there are no rows of optimizer.{backend}: {reason}")
            continue
        ours = measure(backend)
        yield from (ours, Measurement.ratio(f"{prefix}.speedup", loop.value, ours.value))
        yield Measurement.ratio(f"{prefix}.bandwidth_share", least, ours.value)


def _copying(size: int, device: torch.device, repeats: int) -> float:
    """Seconds to copy so many float32 numbers within the device."""
    source, target = (torch.zeros(size, device=device) for _ in range(2))
    return median(time_calls(lambda: target.copy_(source), device, repeats, in_a_row(device)))
