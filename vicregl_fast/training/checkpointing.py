"""When a run's state is saved, and which saved state it goes back to."""

from collections.abc import Callable, Collection
from pathlib import Path

from vicregl_fast.runs.checkpoints import load_checkpoint
from vicregl_fast.runs.folder import RunFolder
from vicregl_fast.training.processes import Processes
from vicregl_fast.training.run_state import RunState


class Checkpointing:
    """The policy of a run's checkpoints, the same on every process.

    One is due every so many steps, at the end of an epoch, and when the run stops. It is written once a step with its
    weights was finite, so that going back never meets weights that are broken already: at once, or if the last step
    was not finite, after the next one that is. The run's last checkpoint is written in any case.

    Args:
        folder: the run's.
        processes: of which rank 0 writes.
        every: steps between checkpoints within an epoch.
        total_steps: of the run.

    Attributes:
        saved_step: after which step the newest checkpoint was taken; 0 before the first.
        proven: whether the last step was finite, so that the weights are worth a checkpoint.
        gone_back_to: steps whose checkpoints did not help.
    """

    def __init__(self, folder: RunFolder, processes: Processes, every: int, total_steps: int):
        self._folder, self._processes, self._every, self._total_steps = folder, processes, every, total_steps
        self._is_due = False
        self.saved_step = 0
        self.proven = True
        self.gone_back_to: set[int] = set()

    def after_step(self, step: int, finite: bool) -> None:
        """Takes note of a step."""
        self.proven = finite
        self._is_due |= step % self._every == 0

    def make_due(self) -> None:
        """A checkpoint is wanted now, whatever the step."""
        self._is_due = True

    def save_if_due(self, step: int, state: Callable[[], RunState]) -> None:
        """Saves ``state()`` if that is due and the weights are proven; every process must call it alike."""
        ready = self.proven or step == self._total_steps
        if not (self._is_due and ready):
            return
        self._is_due = False
        if step != self.saved_step:
            self.saved_step = step
            taken = state()
            if self._processes.leads:
                self._folder.checkpoints.save(taken.to_checkpoint(), step)

    def to_go_back_to(self) -> RunState | None:
        """The newest state that the run did not go back to before; None where there is none."""
        state = newest_state(self._folder, self._processes, but=self.gone_back_to)
        if state is not None:
            self.gone_back_to.add(state.step)
        return state


def newest_state(folder: RunFolder, processes: Processes, but: Collection[int] = ()) -> RunState | None:
    """The newest checkpoint that can be read, but for those after the steps in ``but``.

    Rank 0 chooses, since on a network file system the others may see the newest later.

    Raises:
        UserError: there are checkpoints and none can be read, or the newest is of another version.
    """

    def newest() -> RunState | None:
        saved = folder.checkpoints.load_newest(but)
        return None if saved is None else _read(saved, folder.path)

    state = processes.first(newest)
    step = processes.gather(None if state is None else state.step)[0]
    if step is None or processes.leads:
        return state
    return _read(load_checkpoint(folder.checkpoints.path(step)), folder.path)


def _read(saved: dict, run: Path) -> RunState:
    return RunState.of_checkpoint(saved, run)
