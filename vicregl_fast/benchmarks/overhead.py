"""Measures what the training engine adds to a bare loop of the same network, loss and optimiser."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.timing import time_side_by_side
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.geometry.matches import Matches
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.vicregl import VICRegLLoss
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.optim.lars import LARS
from vicregl_fast.training.failures import Failures
from vicregl_fast.training.outcomes import StepOutcomes
from vicregl_fast.training.precision import Precision
from vicregl_fast.training.processes import Processes
from vicregl_fast.training.step import TrainingStep

RATE, SAMPLES, SIZE = 1e-3, 4, 32
STEPS = 10
"""Steps in a row of which the mean is one sample."""


def bench_overhead(device: torch.device, model: ModelConfig, repeats: int) -> Iterator[Measurement]:
    """Measures seconds a step of a bare loop and of the engine's, side by side, on one small batch of drawn numbers.

    The engine decides whether a step counts, and keeps the buffers of one that does not. Loading, logging and
    checkpoints are not in it. ``engine.overhead`` is the median of the differences.
    """
    torch.manual_seed(0)
    network = VICRegLNetwork(model, True, True).to(device)
    criterion = VICRegLLoss(LossConfig(gamma_large=1), 2)
    optimizer = LARS(network.parameters(), RATE)
    batch = _drawn(criterion, device)

    def bare() -> None:
        for _ in range(STEPS):
            optimizer.zero_grad(set_to_none=True)
            outputs = network(batch.views)
            criterion(outputs.embeddings, outputs.maps, batch.matches).total.backward()
            optimizer.found_inf = None  # type: ignore[attr-defined]
            optimizer.step()

    step = TrainingStep(network, criterion, optimizer, Precision("fp32", device.type))
    outcomes = StepOutcomes(Failures(patience=1000), Processes(0, 1, device), Path("/dev/null"))

    def engine() -> None:
        for number in range(STEPS):
            outcomes.expect(number, batch.indices, step(batch, RATE))
            outcomes.settle(but=1)

    seconds = time_side_by_side({"bare": bare, "engine": engine}, device, repeats)
    each = {name: [value / STEPS for value in values] for name, values in seconds.items()}
    for name, values in each.items():
        yield Measurement.of(f"engine.{name}", values, "s")
    differences = [ours - bare for ours, bare in zip(each["engine"], each["bare"], strict=True)]
    yield Measurement.of("engine.overhead", differences, "s")


def _drawn(criterion: VICRegLLoss, device: torch.device) -> ViewBatch:
    views = tuple(torch.randn(SAMPLES, 3, SIZE, SIZE, device=device) for _ in range(2))
    cells = torch.zeros(SAMPLES, 1, dtype=torch.int64, device=device)
    matches = {direction: Matches(cells, cells) for direction in criterion.plan.location}
    return ViewBatch(np.arange(SAMPLES), views, None, matches)
