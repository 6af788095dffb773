"""A training step that is ready to be timed: the network of a recipe, and one batch of drawn pictures."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from dataprep.errors import UserError
from vicregl_fast.augment.backends import choose_backend
from vicregl_fast.benchmarks.drawn_views import drawn_batch
from vicregl_fast.benchmarks.step_variants import StepVariant
from vicregl_fast.config import RunConfig
from vicregl_fast.data.batches import ViewBatch
from vicregl_fast.data.order import GlobalBatches
from vicregl_fast.data.threads import decoding_threads
from vicregl_fast.data.views import ViewMaker
from vicregl_fast.training.learner import Learner, build_learner
from vicregl_fast.training.processes import Processes
from vicregl_fast.training.step import StepResult
from vicregl_fast.training.stopwatch import UNWATCHED, Clock

RATE = 1e-3
SETTLING_STEPS = 20
"""Steps, at most, until one has finite gradients."""


@dataclass(frozen=True)
class PreparedStep:
    """Takes the same step whenever it is called.

    Attributes:
        config: the recipe, with ``variant`` applied.
        variant: how the step is run.
        learner: what is trained.
        batch: the one batch that every step is given.
    """

    config: RunConfig
    variant: StepVariant
    learner: Learner
    batch: ViewBatch

    def __call__(self, clock: Clock = UNWATCHED) -> StepResult:
        """Takes one step, and marks its parts (``TrainingStep``)."""
        result = self.learner.step(self.batch, RATE, clock)
        clock.stop()
        return result


def prepare_step(config: RunConfig, variant: StepVariant, device: torch.device) -> PreparedStep:
    """Builds the network of a recipe as training does, without online classifier, and its batch.

    Raises:
        UserError: the network cannot be built, the batch has one image, or no step has finite gradients.
    """
    config = variant.applied_to(config)
    GlobalBatches(config.batch_size, config.batch_size, config.seed)  # refuses what training refuses
    learner = build_learner(config, 0, Processes(0, 1, device))
    batch = drawn_view_batch(config, learner, device, config.batch_size)
    layout = torch.channels_last if variant.channels_last else torch.contiguous_format
    views = tuple(view.contiguous(memory_format=layout) for view in batch.views)
    prepared = PreparedStep(config, variant, learner, replace(batch, views=views))
    settle(prepared, variant.precision)
    return prepared


def drawn_view_batch(
    config: RunConfig, learner: Learner, device: torch.device, samples: int, seed: int = 0
) -> ViewBatch:
    """Views and matches of ``samples`` drawn pictures, as training makes them for this learner; without labels.

    Args:
        config: the recipe.
        learner: what is trained; its views, their grids and number format are taken.
        device: where the views are needed.
        samples: number of pictures.
        seed: decides the pictures and the crops.
    """
    return replace(view_maker(config, learner, device, seed).make(drawn_batch(samples, seed), epoch=0), labels=None)


def view_maker(config: RunConfig, learner: Learner, device: torch.device, seed: int = 0) -> ViewMaker:
    """What makes the views and matches of this learner, by as many threads as training would use."""
    return ViewMaker(
        recipes=learner.recipes,
        grids=learner.grids,
        directions=learner.criterion.plan.location,
        mirror_flips=config.loss.switches().mirror_flips,
        seed=seed,
        device=device,
        backend=choose_backend(config.views.backend, device),
        threads=max(1, decoding_threads(config.data.workers, sharers=1)),
        dtype=learner.step.precision.dtype,
    )


def settle(step: Callable[[], StepResult], precision: str) -> None:
    """Takes steps until one updates the network.

    At first a gradient scaler's factor is often too large; such steps skip the update, and would be timed as too short.

    Args:
        step: takes one; all processes find the same of it.
        precision: its number format, for the message.

    Raises:
        UserError: no step has finite gradients.
    """
    for _ in range(SETTLING_STEPS):
        if step().finite:
            return
    raise UserError(f"none of {SETTLING_STEPS} steps had finite gradients: nothing to be timed in {precision}")
