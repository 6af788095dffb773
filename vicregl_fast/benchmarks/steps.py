"""Measures whole training steps on drawn pictures, in several precisions and memory formats, compiled or not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from dataprep.errors import UserError
from vicregl_fast.augment.recipe import ViewsConfig, view_recipes
from vicregl_fast.benchmarks.drawn_views import drawn_batch
from vicregl_fast.benchmarks.measurements import Measurement
from vicregl_fast.benchmarks.timing import time_calls
from vicregl_fast.choices import PrecisionName
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.views import ViewMaker
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.vicregl import VICRegLLoss
from vicregl_fast.models.backbone import feature_grid
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.models.network import VICRegLNetwork
from vicregl_fast.models.passes import compile_backbone
from vicregl_fast.optim.build import build_optimizer
from vicregl_fast.optim.config import OptimConfig
from vicregl_fast.training.precision import Precision
from vicregl_fast.training.step import TrainingStep

RATE = 1e-3
SETTLING_STEPS = 20
"""Steps, at most, until one has finite gradients."""


@dataclass(frozen=True)
class StepVariant:
    """One way to run the same step.

    Attributes:
        precision: ``fp32``, ``bf16`` or ``fp16``.
        channels_last: whether network and views are in channels_last memory format, else contiguous.
        compiled: whether the network goes through torch.compile.
    """

    precision: PrecisionName
    channels_last: bool
    compiled: bool

    @property
    def name(self) -> str:
        """The variant's part of the names of measurements, such as ``bf16.channels_last``."""
        parts: list[str] = [self.precision]
        parts += ["channels_last"] * self.channels_last
        parts += ["compiled"] * self.compiled
        return ".".join(parts)


def all_variants(precisions: Sequence[PrecisionName], compiled: Literal["also", "only"] | None) -> list[StepVariant]:
    """Every precision in both memory formats without torch.compile, and compiled in channels_last.

    ``compiled`` says whether compiled variants are measured ``also``, ``only`` or, for None, not at all.
    """
    eager = [StepVariant(precision, layout, False) for precision in precisions for layout in (False, True)]
    faster = [StepVariant(precision, True, True) for precision in precisions]
    return {None: eager, "also": eager + faster, "only": faster}[compiled]


def bench_steps(
    device: torch.device,
    model: ModelConfig,
    views: ViewsConfig,
    batch_size: int,
    variants: Sequence[StepVariant],
    repeats: int,
) -> Iterator[Measurement]:
    """Measures images/s of each variant, its ratio to the first variant's, and on CUDA the peak memory in GiB.

    ``repeats`` steps are timed of each. ``step.images_per_second`` is the fastest variant's.

    Raises:
        UserError: no step of a variant has finite gradients.
    """
    rates: list[Measurement] = []
    for variant in variants:
        step, batch = _prepare(device, model, views, batch_size, variant)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        seconds = time_calls(lambda step=step, batch=batch: step(batch, RATE), device, repeats)  # type: ignore[misc]
        rate = Measurement.rate(f"step.{variant.name}.images_per_second", batch_size, seconds, "images/s")
        rates.append(rate)
        yield rate
        if len(rates) > 1:
            yield Measurement.ratio(f"step.{variant.name}_over_{variants[0].name}", rate.value, rates[0].value)
        if device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(device) / 2**30
            yield Measurement.of(f"step.{variant.name}.peak_memory", [peak], "GiB")
        del step, batch
    yield replace(max(rates, key=lambda rate: rate.value), name="step.images_per_second")


def _prepare(
    device: torch.device, model: ModelConfig, views: ViewsConfig, batch_size: int, variant: StepVariant
) -> tuple[TrainingStep, ViewBatch]:
    """Makes the network with its step, and the one batch that every step is given."""
    torch.manual_seed(0)
    network = VICRegLNetwork(model, True, True).to(device)
    layout = torch.channels_last if variant.channels_last else torch.contiguous_format
    network = network.to(memory_format=layout)  # type: ignore[call-overload]
    recipes = view_recipes(views)
    grids = [feature_grid(network.backbone, recipe.size) for recipe in recipes]  # type: ignore[arg-type]
    criterion = VICRegLLoss(LossConfig(), len(recipes))
    maker = ViewMaker(
        recipes=recipes, grids=grids, directions=criterion.plan.location, mirror_flips=True, seed=0, device=device
    )
    made = maker.make(drawn_batch(batch_size), epoch=0)
    batch = ViewBatch(
        made.indices, tuple(view.contiguous(memory_format=layout) for view in made.views), None, made.matches
    )
    optimizer = build_optimizer(OptimConfig(name="lars"), network)
    if variant.compiled:
        compile_backbone(network.backbone)
    step = TrainingStep(network, criterion, optimizer, Precision(variant.precision, device.type))
    _settle(step, batch)
    return step, batch


def _settle(step: TrainingStep, batch: ViewBatch) -> None:
    """Takes steps until one updates the network.

    At first a gradient scaler's factor is often too large; such steps skip the update, and would be timed as too short.
    """
    for _ in range(SETTLING_STEPS):
        if step(batch, RATE).finite:
            return
    raise UserError(
        f"none of {SETTLING_STEPS} steps had finite gradients: nothing to be timed in {step.precision.name}"
    )
