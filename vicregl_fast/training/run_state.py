"""What a checkpoint holds: everything that a run needs to go on as if it had not stopped."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dataprep.errors import UserError

FORMAT = 2


@dataclass(frozen=True)
class RunState:
    """The state of a run after a step.

    Attributes:
        step: how many steps are done.
        skipped_steps: how many of them were not finite.
        store: fingerprint of the images.
        generators: torch's random generators of every process.
        learner: network, optimiser and gradient scaler (``Learner.state``).
    """

    step: int
    skipped_steps: int
    store: str
    generators: list[dict[str, torch.Tensor]]
    learner: dict[str, Any]

    def to_checkpoint(self) -> dict[str, Any]:
        """As it is saved."""
        return {
            "format": FORMAT,
            "step": self.step,
            "skipped_steps": self.skipped_steps,
            "store": self.store,
            "generators": self.generators,
            **self.learner,
        }

    @classmethod
    def of_checkpoint(cls, saved: dict[str, Any], run: Path) -> "RunState":
        """What ``to_checkpoint`` gave.

        Raises:
            UserError: it was written by another version.
        """
        if saved.get("format") != FORMAT:
            raise UserError(
                f"the run in {run} has checkpoints of format {saved.get('format')}, and this version "
                f"resumes format {FORMAT}: take the version that wrote them, or choose another --run_dir"
            )
        own = {name: saved[name] for name in ("step", "skipped_steps", "store", "generators")}
        return cls(**own, learner={name: saved[name] for name in ("network", "optimizer", "scaler")})
