"""What the host learns of a step, after it has given the device the next one to do."""

from dataclasses import dataclass

import numpy as np
import torch

from vicregl_fast.training.step import StepResult


@dataclass(frozen=True)
class StepOutcome:
    """What became of a step.

    Attributes:
        step: its number, from 1.
        indices: sample indices of this process's share of the batch, int64 [b].
        loss: the VICRegL loss over the global batch.
        finite: whether loss and gradients were finite; if not, nothing was updated.
        scale: of the gradient scaler after the step; 0 without one.
    """

    step: int
    indices: np.ndarray
    loss: float
    finite: bool
    scale: float


class PendingOutcome:
    """The outcome of a step, on its way to the host.

    Args:
        step: its number, from 1.
        indices: sample indices of this process's share of the batch, int64 [b].
        result: the step's result.
    """

    def __init__(self, step: int, indices: np.ndarray, result: StepResult):
        self.step, self._indices = step, indices
        scale = torch.zeros_like(result.loss) if result.scale is None else result.scale
        values = torch.stack([result.loss, result.finite.to(result.loss), scale])
        self._host = torch.empty(3, pin_memory=values.is_cuda).copy_(values, non_blocking=True)
        self._copied = torch.cuda.Event() if values.is_cuda else None
        if self._copied is not None:
            self._copied.record()

    def read(self) -> StepOutcome:
        """Waits until the step is done on the device, if it is not yet."""
        if self._copied is not None:
            self._copied.synchronize()
        loss, finite, scale = self._host.tolist()
        return StepOutcome(self.step, self._indices, loss, bool(finite), scale)
