"""The content of a checkpoint: all that a run needs to continue as if it had not stopped."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dataprep.errors import UserError

FORMAT = 2
"""Version of what ``to_checkpoint`` writes; to be raised when that changes."""


@dataclass(frozen=True)
class RunState:
    """The state of a run after a step.

    Attributes:
        step: number of steps that are done.
        skipped_steps: how many of them were non-finite, and so were skipped.
        store: fingerprint of the training store (``store_fingerprint``).
        generators: states of torch's random generators, one entry for each rank (``generator_states``).
        learner: state of network, optimiser and gradient scaler (``Learner.state``).
        banks: states of the features for k-NN, one entry for each rank (``FeatureBank.state``); None without k-NN.
    """

    step: int
    skipped_steps: int
    store: str
    generators: list[dict[str, torch.Tensor]]
    learner: dict[str, Any]
    banks: list[dict[str, Any]] | None = None

    def to_checkpoint(self) -> dict[str, Any]:
        """Returns the state in the form in which it is saved."""
        return {
            "format": FORMAT,
            "step": self.step,
            "skipped_steps": self.skipped_steps,
            "store": self.store,
            "generators": self.generators,
            **self.learner,
            **({} if self.banks is None else {"banks": self.banks}),
        }

    @classmethod
    def of_checkpoint(cls, saved: dict[str, Any], run: Path) -> "RunState":
        """Reads the state from what ``to_checkpoint`` returned.

        Args:
            saved: the content of a checkpoint.
            run: folder of the run, for the error.

        Raises:
            UserError: the checkpoint has another version's format.
        """
        if saved.get("format") != FORMAT:
            raise UserError(
                f"the run in {run} has checkpoints of format {saved.get('format')}, and this version "
                f"resumes format {FORMAT}: take the version that wrote them, or choose another --run_dir"
            )
        own = {name: saved[name] for name in ("step", "skipped_steps", "store", "generators")}
        learner = {name: saved[name] for name in ("network", "optimizer", "scaler")}
        return cls(**own, learner=learner, banks=saved.get("banks"))
