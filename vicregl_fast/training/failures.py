"""Counts steps whose loss or gradients are non-finite, and says when the run should go back to a checkpoint."""

import math

from vicregl_fast.training.outcome import StepOutcome


class Failures:
    """Counts non-finite steps, which are skipped.

    A skipped step leaves the weights as they are. If many steps in a row fail, each on other images, then the fault is
    in the weights. With fp16, however, the gradient scaler finds its scale by lowering it at each overflow: while the
    loss is finite and the scale is at least 1, a step counts as skipped, but not as a failure.

    Args:
        patience: number of failures in a row at which the run should go back.

    Attributes:
        skipped: number of steps skipped so far.
        in_a_row: number of failures since the last finite step, or since the run last went back.
    """

    def __init__(self, patience: int):
        self.patience, self.skipped, self.in_a_row = patience, 0, 0

    @property
    def too_many(self) -> bool:
        """Whether there are now ``patience`` failures in a row."""
        return self.in_a_row >= self.patience

    def count(self, outcome: StepOutcome) -> bool:
        """Counts a step, and returns whether it is a failure."""
        if outcome.finite:
            self.in_a_row = 0
            return False
        self.skipped += 1
        if outcome.scale >= 1 and math.isfinite(outcome.loss):
            return False
        self.in_a_row += 1
        return True

    def forgive(self) -> None:
        """Starts the count of failures in a row again, after the run has gone back."""
        self.in_a_row = 0
