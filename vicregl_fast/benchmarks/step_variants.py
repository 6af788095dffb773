"""The ways to run one training step: number format, memory format, compiled or not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from vicregl_fast.choices import PrecisionChoice, PrecisionName
from vicregl_fast.config import RunConfig
from vicregl_fast.training.precision import choose_precision

Compiled = Literal["also", "only"] | None
"""Whether compiled variants are measured, too, or alone."""


@dataclass(frozen=True)
class StepVariant:
    """One way to run the same step.

    Attributes:
        precision: ``fp32``, ``bf16`` or ``fp16``.
        channels_last: whether network and views are in channels_last memory format, else contiguous.
        compiled: whether the backbone goes through torch.compile.
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

    def applied_to(self, config: RunConfig) -> RunConfig:
        """The recipe, run this way. CUDA graphs and recomputed activations stay only where the variant allows them."""
        train = replace(
            config.train,
            precision=self.precision,
            channels_last=self.channels_last,
            compile=self.compiled,
            cuda_graphs=config.train.cuda_graphs and self.compiled,
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


def all_variants(precisions: Sequence[PrecisionName], compiled: Compiled) -> list[StepVariant]:
    """Every precision in both memory formats without torch.compile, and compiled in channels_last.

    ``compiled`` says whether compiled variants are measured ``also``, ``only`` or, for None, not at all.
    """
    eager = [StepVariant(precision, layout, False) for precision in precisions for layout in (False, True)]
    faster = [StepVariant(precision, True, True) for precision in precisions]
    return {None: eager, "also": eager + faster, "only": faster}[compiled]
