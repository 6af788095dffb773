"""The learning rate of each step: linear warm-up, then half a cosine (docs/method.md, Optimisation)."""

import math
from dataclasses import dataclass

from vicregl_fast.optim.config import OptimConfig


@dataclass(frozen=True)
class Schedule:
    """The learning rate of every step of a run.

    Attributes:
        total_steps: number of steps in the run.
        warmup_steps: number of steps in which the rate rises, at most all.
        peak: the rate after the warm-up.
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
        """The schedule of a run, whose peak is ``base_lr`` times the global batch over 256.

        Args:
            config: the settings.
            batch_size: size of the global batch.
            epochs: number of epochs in the run.
            epoch_steps: number of steps in an epoch.
        """
        peak = config.base_lr * batch_size / 256
        return cls(epochs * epoch_steps, round(config.warmup_epochs * epoch_steps), peak, config.end_factor * peak)

    def rate(self, step: int) -> float:
        """The learning rate of a step, of which the first is 0.

        It rises from 0 at step 0 to ``peak`` at step ``warmup_steps``, falls to ``end`` at the last step,
        ``total_steps`` - 1, and stays there. With a warm-up of all steps, or of all but the last, it only rises.
        """
        if step < self.warmup_steps:
            return self.peak * step / self.warmup_steps
        progress = min(1.0, (step - self.warmup_steps) / max(1, self.total_steps - 1 - self.warmup_steps))
        return self.end + (self.peak - self.end) * (1.0 + math.cos(math.pi * progress)) / 2.0
