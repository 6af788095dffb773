"""What became of the steps: learned one step late, so that the device always has work."""

from collections import deque
from itertools import chain
from pathlib import Path

import numpy as np

from dataprep.notes import note
from vicregl_fast.training.failures import Failures
from vicregl_fast.training.outcome import PendingOutcome, StepOutcome
from vicregl_fast.training.processes import Processes
from vicregl_fast.training.skipped_steps import add_skipped_step
from vicregl_fast.training.step import StepResult


class StepOutcomes:
    """Reads the outcomes of steps, counts those that changed nothing, and names their images.

    Every process must make the same calls.

    Args:
        failures: counts the steps.
        processes: the processes of the run.
        skipped_steps: the file that names such steps.

    Attributes:
        last_finite: whether loss and gradients of the last step that was settled were finite.
    """

    def __init__(self, failures: Failures, processes: Processes, skipped_steps: Path):
        self.last_finite = True
        self._failures, self._processes, self._file = failures, processes, skipped_steps
        self._pending: deque[PendingOutcome] = deque()

    def expect(self, step: int, indices: np.ndarray, result: StepResult) -> None:
        """Adds a step (``PendingOutcome``)."""
        self._pending.append(PendingOutcome(step, indices, result))

    def settle(self, but: int = 0) -> bool:
        """Waits for the outcomes of the steps added, all or all ``but`` the newest.

        Returns:
            Whether there were too many failures in a row. The outcomes of all steps are then known: as long as one is
            to come, it might be a step that has found back by itself.
        """
        while len(self._pending) > but:
            outcome = self._pending.popleft().read()
            failed = self._failures.count(outcome)
            self.last_finite = outcome.finite
            if not outcome.finite:
                self._name(outcome, failed)
            if self._failures.too_many:
                but = 0
        return self._failures.too_many

    def _name(self, outcome: StepOutcome, failed: bool) -> None:
        indices = self._processes.gather(outcome.indices.tolist())
        if self._processes.leads:
            add_skipped_step(self._file, outcome.step, list(chain.from_iterable(indices)))
        if failed:
            note(
                f"step {outcome.step} changes nothing, since its loss or gradients are not finite; its images are in "
                f"{self._file}"
            )
