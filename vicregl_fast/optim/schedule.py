"""The learning rate: linear warm-up, then half a cosine, per step."""

import math
from dataclasses import dataclass

from vicregl_fast.optim.config import OptimConfig


@dataclass(frozen=True)
class Schedule:
    """The learning rate of every step of a run.

    Attributes:
        total_steps: of the run.
        warmup_steps: in which the rate rises, at most all.
        peak: the rate at the end of the warm-up.
        end: the rate of the last step.
    """

    total_steps: int
    warmup_steps: int
    peak: float
    end: float

    def __post_init__(self) -> None:
        assert 0 <= self.warmup_steps <= self.total_steps

    @classmethod
    def of(cls, config: OptimConfig, batch_size: int, epochs: int, epoch_steps: int) -> "Schedule":
        """The schedule of a run: its peak is the base learning rate times the global batch over 256 (paper, A.1)."""
        peak = config.base_lr * batch_size / 256
        return cls(epochs * epoch_steps, round(config.warmup_epochs * epoch_steps), peak, config.end_factor * peak)

    def rate(self, step: int) -> float:
        """The rate for ``step``, of which 0 is the first.

        It rises from 0 to the peak at step ``warmup_steps`` and falls to the end at the last step, ``total_steps`` - 1;
        steps beyond keep that. A warm-up as long as the run only rises.
        """
        if step < self.warmup_steps:
            return self.peak * step / self.warmup_steps
        progress = min(1.0, (step - self.warmup_steps) / max(1, self.total_steps - 1 - self.warmup_steps))
        return self.end + (self.peak - self.end) * (1.0 + math.cos(math.pi * progress)) / 2.0
