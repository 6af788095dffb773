"""When a run's state is saved, and which saved state the run goes back to."""

from collections.abc import Callable, Collection

from vicregl_fast.runs.checkpoints import NEWEST, load_checkpoint
from vicregl_fast.runs.folder import RunFolder
from vicregl_fast.training.processes import Processes
from vicregl_fast.training.run_state import RunState


class Checkpointing:
    """Decides when a checkpoint is saved; every process decides the same, and rank 0 writes.

    A checkpoint is due every ``every`` steps, at the end of an epoch, and when the run stops. It is saved only right
    after a finite step, so that a run that has gone wrong does not replace its good checkpoints: if the last step was
    not finite, the checkpoint waits for the next finite one. After the last step of the whole run it is saved in any
    case.

    Args:
        folder: the folder of the run.
        processes: the processes of the run.
        every: a checkpoint is due after every step whose number is a multiple of this.
        total_steps: number of steps of the whole run.
        keep_every: likewise, that checkpoint is kept for good; None keeps none.

    Attributes:
        saved_step: number of the step after which the newest checkpoint was taken; 0 before the first.
        is_due: whether a checkpoint is due.
        proven: whether the last step was finite, which must be known before ``save_if_due``.
        gone_back_to: the steps whose checkpoints the run has gone back to; it goes back to each only once.
    """

    def __init__(
        self, folder: RunFolder, processes: Processes, every: int, total_steps: int, keep_every: int | None = None
    ):
        self._folder, self._processes, self._every, self._total_steps = folder, processes, every, total_steps
        self._keep_every = keep_every
        self.is_due = self._keep = False
        self.saved_step = 0
        self.proven = True
        self.gone_back_to: set[int] = set()

    def after_step(self, step: int) -> None:
        """Records that step number ``step`` is done."""
        self._keep |= self._keep_every is not None and step % self._keep_every == 0
        self.is_due |= self._keep or step % self._every == 0

    def make_due(self) -> None:
        """Makes a checkpoint due, whatever the step."""
        self.is_due = True

    def save_if_due(self, step: int, state: Callable[[], RunState]) -> None:
        """Saves ``state()`` if a checkpoint is due and may be saved now.

        Every process must call this, at the same steps: ``state`` may gather from all of them.

        Raises:
            UserError: it cannot be written, or another job has taken over the run.
        """
        ready = self.proven or step == self._total_steps
        if not (self.is_due and ready):
            return
        keep, self.is_due, self._keep = self._keep, False, False
        if step != self.saved_step:
            with self._processes.watch.paused():
                taken = state()
                self._processes.first(lambda: self._save(taken, keep))
            self.saved_step = step

    def _save(self, state: RunState, keep: bool) -> None:
        self._folder.check_held()
        self._folder.checkpoints.save(state.to_checkpoint(), state.step, keep)

    def to_go_back_to(self) -> RunState | None:
        """Returns the newest state that the run has not gone back to yet, or None if there is none.

        Of those that are kept for good only the newest count: older ones were trained at other learning rates.
        """
        state = newest_state(self._folder, self._processes, but=self.gone_back_to, among=NEWEST)
        if state is not None:
            self.gone_back_to.add(state.step)
        return state


def newest_state(
    folder: RunFolder, processes: Processes, but: Collection[int] = (), among: int | None = None
) -> RunState | None:
    """Loads the newest checkpoint that can be read, leaving aside those taken after the steps in ``but``.

    ``among`` is how many of the newest are looked at; None for all.

    Rank 0 chooses it for all, since on a network file system the other processes may see a new file later.

    Returns:
        The state, the same on every process, or None if there is no checkpoint.

    Raises:
        UserError: there are checkpoints and none can be read, or the newest has another version's format.
    """

    def newest() -> RunState | None:
        saved = folder.checkpoints.load_newest(but, among)
        return None if saved is None else RunState.of_checkpoint(saved, folder.path)

    state = processes.first(newest)
    path = processes.gather(None if state is None else folder.checkpoints.path(state.step))[0]
    if path is None or processes.leads:
        return state
    return RunState.of_checkpoint(load_checkpoint(path, sound=True), folder.path)  # the leader looked
