"""Optimiser and schedule: the settings ``--optim.*``."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from dataprep.errors import UserError

LarsBackend = Literal["loop", "foreach", "triton", "apex"]
"""What does the work of a LARS step."""

LarsChoice = Literal["auto", LarsBackend]
"""A backend, or the fastest that works here and equals the formula."""


@dataclass(frozen=True)
class OptimConfig:
    """Optimiser and schedule.

    Attributes:
        name: lars (for ResNets) or adamw (for ConvNeXts).
        base_lr: peak of the learning rate at a global batch of 256; the peak is proportional to the global batch.
        end_factor: the last step's learning rate as a share of the peak.
        warmup_epochs: epochs of linear warm-up; use fewer in short runs.
        weight_decay: of tensors of two or more dimensions; the others have none.
        momentum: of LARS; AdamW keeps torch's default betas.
        lars: what takes LARS steps, all with the same result up to rounding: loop (the formula, tensor by tensor),
            foreach (torch's multi-tensor kernels), triton (two kernels, on a GPU), apex (NVIDIA Apex's kernels), or
            auto, the fastest that works here and equals the formula.

    Raises:
        UserError: an option is outside its range.
    """

    name: Literal["lars", "adamw"] = "lars"
    base_lr: float = 0.2
    end_factor: float = 0.001
    warmup_epochs: float = 10.0
    weight_decay: float = 1e-6
    momentum: float = 0.9
    lars: LarsChoice = "auto"

    def __post_init__(self) -> None:
        if self.name not in ("lars", "adamw"):
            raise UserError(f"optim.name is {self.name!r}: set it to lars or adamw")
        if self.lars not in get_args(LarsChoice):
            raise UserError(f"optim.lars is {self.lars!r}: set it to auto, loop, foreach, triton or apex")
        if not (math.isfinite(self.base_lr) and self.base_lr > 0):
            raise UserError(f"optim.base_lr is {self.base_lr}: set it to a finite number above 0")
        for name in ("warmup_epochs", "weight_decay"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise UserError(f"optim.{name} is {value}: set it to 0 or a finite number above")
        if not 0 <= self.end_factor <= 1:
            raise UserError(f"optim.end_factor is {self.end_factor}: set it between 0 and 1")
        if not 0 <= self.momentum < 1:
            raise UserError(f"optim.momentum is {self.momentum}: set it to at least 0 and below 1")
