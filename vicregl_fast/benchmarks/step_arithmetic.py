"""How much of the device's arithmetic a training step uses."""

from collections.abc import Iterator

import torch

from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.prepared_step import PreparedStep
from vicregl_fast.training.arithmetic import TRAINING_OVER_FORWARD, Arithmetic, forward_flops, matrix_rate


def bench_arithmetic(
    prepared: PreparedStep, images_per_second: float, device: torch.device, repeats: int
) -> Iterator[Measurement]:
    """Counts the operations of a step, and measures the rate of matrix products in its number format.

    ``step.flops`` are the floating-point operations of a step (``training.arithmetic`` says what counts), and
    ``step.forward_flops_per_image`` those of the forward pass of all views of an image. ``step.flop_utilisation`` is
    what the step uses of ``step.matrix_rate``. ``step.parameters`` is their number in the network.

    Args:
        prepared: the step.
        images_per_second: its measured speed.
        device: where it computes.
        repeats: number of times that the rate of products is measured.
    """
    learner = prepared.learner
    forward = forward_flops(learner.network, [recipe.size for recipe in learner.recipes])
    of_an_image = TRAINING_OVER_FORWARD * forward
    rates = [matrix_rate(device, learner.step.precision) for _ in range(repeats)]
    rate = Measurement.of("step.matrix_rate", rates, "FLOP/s")
    used = Arithmetic(of_an_image, rate.value).used(images_per_second)
    parameters = sum(parameter.numel() for parameter in learner.network.parameters())
    yield Measurement.of("step.forward_flops_per_image", [forward], "FLOP")
    yield Measurement.of("step.flops", [of_an_image * len(prepared.batch.indices)], "FLOP")
    yield rate
    yield Measurement.of("step.tflops", [used["tflops"]], "TFLOP/s")
    yield Measurement.of("step.flop_utilisation", [used["flop_utilisation"]], "x")
    yield Measurement.of("step.parameters", [parameters], "")
