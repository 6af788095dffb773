"""Steps whose loss or gradients are not finite: how many there were, and when the run should go back."""

import math

import torch

from vicregl_fast.training.step import StepResult


class Failures:
    """Counts non-finite steps.

    Skipping one changes nothing, so many in a row mean that the weights, not the images, are what is wrong.
    A gradient scaler finds its scale by such steps: while the loss is finite and the scale at least 1, they only count
    as skipped.

    Args:
        patience: failures in a row that are too many.

    Attributes:
        skipped: all steps skipped so far.
        in_a_row: failures since the last finite step, or since the run went back.
    """

    def __init__(self, patience: int):
        self.patience, self.skipped, self.in_a_row = patience, 0, 0

    def count(self, result: StepResult, scaler: torch.amp.GradScaler) -> bool:
        """Takes note of a step, and of its scaler after it; true at too many failures in a row."""
        if result.finite:
            self.in_a_row = 0
            return False
        self.skipped += 1
        if scaler.is_enabled() and scaler.get_scale() >= 1 and math.isfinite(result.loss):
            return False
        self.in_a_row += 1
        return self.in_a_row >= self.patience

    def forgive(self) -> None:
        """The run went back: the failures before that no longer count as in a row."""
        self.in_a_row = 0
