"""Measures whole training steps on drawn pictures: number and memory formats, compiled or not, recorded or not."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch

from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.benchmarks.drawn_views import drawn_batch
from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.memory import PeakMemory
from vicregl_fast.benchmarks.prepared_step import PreparedStep, prepare_step, view_maker
from vicregl_fast.benchmarks.step_arithmetic import bench_arithmetic
from vicregl_fast.benchmarks.step_parts import bench_parts
from vicregl_fast.benchmarks.step_variants import LAUNCHED, StepVariant
from vicregl_fast.benchmarks.supervised import SupervisedStep
from vicregl_fast.benchmarks.timing import in_a_row, time_calls, time_side_by_side
from vicregl_fast.config import RunConfig


def bench_steps(
    config: RunConfig, device: torch.device, variants: Sequence[StepVariant], repeats: int, parts: bool = True
) -> Iterator[Measurement]:
    """Measures images/s of each variant, its ratio to the first variant's, and peak memory of a GPU in GiB.

    Variants that are launched kernel by kernel come first. Of the fastest of them follow its rate, ``LAUNCHED``, its
    parts (``bench_parts``), the arithmetic (``bench_arithmetic``), augmentation (``bench_augmentation_share``) and the
    supervised twin (``bench_beside_supervised``). ``step.images_per_second`` is the fastest of all. Each has
    ``repeats`` durations, on a GPU of several steps in a row. Peak memory of the host is that of all launched variants
    together: what one leaves, the next one uses.

    Args:
        config: the recipe; its batch size is that of the one process.
        device: where the steps are computed.
        variants: the ways to run the step, not all of them recorded; a note says which do not fit into memory, or
            cannot be recorded; after a recorded one that is left out no other is measured.
        repeats: number of durations measured for each figure.
        parts: whether more than the rates and the memory is measured.

    Raises:
        UserError: no step of a variant has finite gradients, or none fits into memory.
    """
    rates: dict[StepVariant, Measurement] = {}
    with PeakMemory(device, "host") as host:
        for variant in (each for each in variants if not each.recorded):
            yield from _rate(config, variant, device, repeats, rates)
    yield from host.rows("step")
    if not rates:
        raise UserError("no step fits into the GPU's memory: give a smaller --batch")
    launched = max(rates, key=lambda variant: rates[variant].value)
    yield replace(rates[launched], name=LAUNCHED)
    if parts:
        prepared = prepare_step(config, launched, device)
        yield from bench_parts(prepared, device, repeats)
        yield from bench_arithmetic(prepared, rates[launched].value, device, repeats)
        yield from bench_augmentation_share(prepared, rates[launched], device, repeats)
        yield from bench_beside_supervised(prepared, device, repeats)
        del prepared  # its memory is needed
    for variant in (each for each in variants if each.recorded):
        try:
            yield from _rate(config, variant, device, repeats, rates)
        except UserError as error:
            note(f"step.{variant.name} is left out: {error}")
        if variant not in rates:
            break  # after a capture that failed torch may not record another
    yield replace(max(rates.values(), key=lambda rate: rate.value), name="step.images_per_second")


def _rate(
    config: RunConfig, variant: StepVariant, device: torch.device, repeats: int, rates: dict[StepVariant, Measurement]
) -> Iterator[Measurement]:
    """Adds the rate of a variant, unless it does not fit into memory, which a note says; yields it, and its memory."""
    try:
        with PeakMemory(device, "device") as peaks:
            seconds = time_calls(prepare_step(config, variant, device), device, repeats, in_a_row(device))
    except torch.OutOfMemoryError:
        note(f"step.{variant.name} is left out: the GPU's memory is too small for {config.batch_size} images")
        return
    rates[variant] = Measurement.rate(f"step.{variant.name}.images_per_second", config.batch_size, seconds, "images/s")
    yield from _beside_the_first(rates, variant)
    yield from peaks.rows(f"step.{variant.name}")


def _beside_the_first(rates: Mapping[StepVariant, Measurement], variant: StepVariant) -> Iterator[Measurement]:
    """The rate of a variant and, if it is not the first, its ratio to the first one's."""
    first = next(iter(rates))
    yield rates[variant]
    if variant != first:
        yield Measurement.ratio(f"step.{variant.name}_over_{first.name}", rates[variant].value, rates[first].value)


def bench_augmentation_share(
    prepared: PreparedStep, rate: Measurement, device: torch.device, repeats: int
) -> Iterator[Measurement]:
    """Measures ``step.augmentation``, the seconds in which the views and matches of its batch are made.

    ``step.augmentation_share`` is this over the seconds of a step. Training prepares the next batch while a step lasts,
    so that the two share the device. The images are decoded ones in the host's memory, and of the drawn pictures' size.

    Args:
        prepared: the step.
        rate: its images/s.
        device: where it computes.
        repeats: number of durations.
    """
    config, samples = prepared.config, len(prepared.batch.indices)
    maker, decoded = view_maker(config, prepared.learner, device), drawn_batch(samples)
    seconds = time_calls(lambda: maker.make(decoded, epoch=0), device, repeats, in_a_row(device))
    row = Measurement.of("step.augmentation", seconds, "s")
    yield row
    yield Measurement.ratio("step.augmentation_share", row.value, samples / rate.value)


def bench_beside_supervised(prepared: PreparedStep, device: torch.device, repeats: int) -> Iterator[Measurement]:
    """Measures a step in turns with its supervised twin, which learns from one view of each image.

    ``step.over_half_supervised`` is images/s of the step in these turns, ``step.in_turns_images_per_second``, over half
    of the twin's: 1 where loss, matches and heads cost nothing. It is left out for other recipes than two views of one
    size.
    """
    calls: dict[str, Callable[[], object]] = {"in_turns": prepared, "supervised": SupervisedStep(prepared, device)}
    samples = len(prepared.batch.indices)
    seconds = time_side_by_side(calls, device, repeats, in_a_row(device))
    for name, durations in seconds.items():
        yield Measurement.rate(f"step.{name}_images_per_second", samples, durations, "images/s")
    if len(prepared.batch.views) == 2:
        of_two_views = [2 * duration for duration in seconds["supervised"]]
        yield Measurement.speedup("step.over_half_supervised", seconds["in_turns"], of_two_views)
    else:
        note("there is no row step.over_half_supervised, which is defined for two views of one size")
