"""The ways to run one training step: number format, memory format, compiled or not, recorded or not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from vicregl_fast.choices import PrecisionChoice, PrecisionName
from vicregl_fast.config import RunConfig
from vicregl_fast.training.precision import choose_precision

Compiled = Literal["also", "only"] | None
"""Whether compiled variants are measured, too, or alone."""

LAUNCHED = "step.launched_images_per_second"
"""The row of the fastest variant that is not recorded, as steps of several processes are not."""


@dataclass(frozen=True)
class StepVariant:
    """One way to run the same step.

    Attributes:
        precision: ``fp32``, ``bf16`` or ``fp16``.
        channels_last: whether network and views are in channels_last memory format, else contiguous.
        compiled: whether the backbone goes through torch.compile.
        recorded: whether the step is replayed as a CUDA graph, else launched kernel by kernel.
    """

    precision: PrecisionName
    channels_last: bool
    compiled: bool
    recorded: bool = False

    @property
    def name(self) -> str:
        """The variant's part of the names of measurements, such as ``bf16.channels_last``."""
        parts: list[str] = [self.precision]
        parts += ["channels_last"] * self.channels_last
        parts += ["compiled"] * self.compiled
        parts += ["recorded"] * self.recorded
        return ".".join(parts)

    def applied_to(self, config: RunConfig) -> RunConfig:
        """The recipe, run this way. Recomputed activations stay only where the variant allows them."""
        train = replace(
            config.train,
            precision=self.precision,
            channels_last=self.channels_last,
            compile=self.compiled,
            cuda_graphs=self.recorded,
            checkpoint_activations=config.train.checkpoint_activations and not self.compiled,
        )
        return replace(config, train=train)


def default_precisions(wanted: PrecisionChoice, device: torch.device) -> list[PrecisionName]:
    """The formats that a step is measured in unless they are given.

    They are the recipe's, and where that is ``auto`` and means bf16 on a GPU, fp16, too.

    Args:
        wanted: the recipe's, or ``auto``.
        device: where the steps are computed.
    """
    taken = choose_precision(wanted, device).name
    both = device.type == "cuda" and wanted == "auto" and taken == "bf16"
    return [taken, "fp16"] if both else [taken]


def all_variants(precisions: Sequence[PrecisionName], compiled: Compiled, recorded: bool) -> list[StepVariant]:
    """Every precision in both memory formats without torch.compile, and compiled in channels_last.

    Args:
        precisions: number formats.
        compiled: whether compiled variants are measured ``also``, ``only`` or, for None, not at all.
        recorded: whether those in channels_last are measured as CUDA graphs, too.
    """
    replays = [False, True] if recorded else [False]
    eager, faster = [], []
    for precision in precisions:
        eager.append(StepVariant(precision, False, False))
        eager += [StepVariant(precision, True, False, replay) for replay in replays]
        faster += [StepVariant(precision, True, True, replay) for replay in replays]
    return {None: eager, "also": eager + faster, "only": faster}[compiled]


def can_be_recorded(config: RunConfig, device: torch.device) -> bool:
    """Whether a CUDA graph can hold the recipe's step: on a GPU, without chunks and recomputed activations."""
    return device.type == "cuda" and config.train.chunk is None and not config.train.checkpoint_activations
