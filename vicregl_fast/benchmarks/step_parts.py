"""How the time of a training step splits into forward pass, loss, backward pass and optimiser."""

from collections.abc import Iterator

import torch

from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.prepared_step import PreparedStep
from vicregl_fast.benchmarks.timing import WARM_UP_CALLS
from vicregl_fast.devices import synchronize
from vicregl_fast.training.stopwatch import Stopwatch

PARTS = ("forward", "loss", "backward", "optimizer")


def bench_parts(prepared: PreparedStep, device: torch.device, repeats: int) -> Iterator[Measurement]:
    """Measures the seconds of each part, ``step.PART``, and its share in the step, ``step.PART_share``.

    The steps are taken for this alone, one at a time; on CUDA, events in the stream measure the parts.
    """
    for _ in range(WARM_UP_CALLS):
        prepared()
    steps = [_seconds(prepared, device) for _ in range(repeats)]
    for part in PARTS:
        yield Measurement.of(f"step.{part}", [step[part] for step in steps], "s")
    for part in PARTS:
        yield Measurement.of(f"step.{part}_share", [step[part] / sum(step.values()) for step in steps], "x")


def _seconds(prepared: PreparedStep, device: torch.device) -> dict[str, float]:
    synchronize(device)
    clock = Stopwatch(device)
    prepared(clock)
    measured = clock.seconds()
    return {part: measured[f"seconds_{part}"] for part in PARTS}
