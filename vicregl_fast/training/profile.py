"""A profile of some training steps, in the form that Chrome's tracing and Perfetto show."""

import os
from pathlib import Path
from types import TracebackType

import torch
from torch.profiler import ProfilerActivity

from dataprep.atomic import put_in_place, unfinished
from dataprep.notes import note
from vicregl_fast.training.processes import Processes


class StepProfile:
    """Takes one trace of ``steps`` steps, which begins after the first logged step, when what is set up once has been.

    Used in a ``with`` block; what has been traced when it ends is written, too. A validation between these steps is in
    the trace.

    Args:
        steps: how many steps; 0 takes no trace.
        folder: where the trace goes, in a file named by its steps.
        processes: of the run; their device, and the watch that is not to take the writing for a hang.
    """

    def __init__(self, steps: int, folder: Path, processes: Processes):
        self._wanted, self._folder, self._watch = steps, folder, processes.watch
        self._activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (processes.device.type == "cuda")
        self._profiler: torch.profiler.profile | None = None
        self._first = self._last = 0

    @property
    def active(self) -> bool:
        """Whether the next step is traced."""
        return self._profiler is not None

    def __enter__(self) -> "StepProfile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish()

    def after_step(self, step: int, logged: bool) -> None:
        """Begins the trace, or ends it, after step number ``step``."""
        if self.active:
            self._last = step
            if step - self._first + 1 == self._wanted:
                self._finish()
        elif logged and self._wanted and self._first == 0:
            self._first = step + 1
            os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it would tell the terminal what it does
            self._profiler = torch.profiler.profile(activities=self._activities)
            self._profiler.start()

    def _finish(self) -> None:
        profiler, self._profiler = self._profiler, None
        if profiler is None:
            return
        profiler.stop()
        if self._last < self._first:
            return
        file = self._folder / f"steps-{self._first:09d}-{self._last:09d}.json"
        try:
            file.parent.mkdir(exist_ok=True)
            with self._watch.paused(), unfinished(file) as partial:
                profiler.export_chrome_trace(str(partial))
                put_in_place(partial, file)
        except (OSError, RuntimeError) as error:
            note(f"the profile of steps {self._first} to {self._last} could not be written to {file}: {error}")
            return
        note(f"{file} is the profile of steps {self._first} to {self._last}: open it with chrome://tracing or Perfetto")
