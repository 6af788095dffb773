"""Weights & Biases and MLflow: they are told by programs of their own, beside the training.

A library that waits for a network, asks for a login or crashes then stops itself alone.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import shorten
from types import TracebackType

from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.runs.folder import RunFolder

LAST_ROWS = 10.0  # seconds for which the end of a run waits until a tracker has taken the last rows

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from vicregl_fast.training.tracker_process import track; track(*sys.argv[2:])"
)


def check_trackers(names: Sequence[str]) -> None:
    """Checks that the trackers are installed.

    Raises:
        UserError: one is not.
    """
    for name in names:
        if find_spec(name) is None:
            raise UserError(
                f"train.trackers names {name}, which is not installed: pip install '.[trackers]', or leave it out"
            )


class Trackers:
    """Passes the rows of metrics.jsonl on while the ``with`` block lasts, without ever waiting within it.

    A tracker that is new in this run gets all rows, and one that the run had before those that follow.

    Args:
        names: of the trackers.
        folder: of the run, whose configuration and metrics are there.
    """

    def __init__(self, names: Sequence[str], folder: RunFolder):
        self._names, self._folder = names, folder
        self._running: dict[str, subprocess.Popen] = {}
        self._exit = ExitStack()

    def __enter__(self) -> "Trackers":
        for name in self._names:
            try:
                self._running[name] = self._start(name)
            except OSError as error:
                note(f"{name} cannot be started ({error.strerror or error}): the rows are in {self._folder.metrics}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._exit:
            self._end()

    def _end(self) -> None:
        self.check()
        until = time.monotonic() + LAST_ROWS
        for process in self._running.values():
            with suppress(OSError):  # it has just ended
                process.stdin.write(b"end\n")  # type: ignore[union-attr]  # it is a pipe
        for name, process in list(self._running.items()):
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # with the programs that it has started
                process.wait()
                del self._running[name]
                note(f"{name} has not taken the last rows in {LAST_ROWS:.0f} s; they are in {self._folder.metrics}")
        self.check()

    def check(self) -> None:
        """Notes which trackers have failed since the last call."""
        for name, process in list(self._running.items()):
            code = process.poll()
            if code is not None:
                del self._running[name]
                if code != 0:
                    reason = _last_line(self._log(name)) if code > 0 else f"killed by signal {-code}"
                    note(f"{name} takes no rows ({reason}); they are in {self._folder.metrics}, and training goes on")

    def _start(self, name: str) -> subprocess.Popen:
        folder, metrics = self._folder.trackers, self._folder.metrics
        folder.mkdir(parents=True, exist_ok=True)
        scratch = self._exit.enter_context(TemporaryDirectory(ignore_cleanup_errors=True))  # they leave files behind
        taken = folder / f"{name}.taken"  # of a run that went back to a checkpoint, rows after it are written anew
        start = min(int(taken.read_text() or 0), metrics.stat().st_size) if taken.exists() else 0
        places = [str(each) for each in (folder, metrics, self._folder.config)]
        with self._log(name).open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, json.dumps(sys.path), name, *places, str(start)],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, "TMPDIR": scratch},
                start_new_session=True,  # a terminal's Ctrl-C is for the training
            )

    def _log(self, name: str) -> Path:
        return self._folder.trackers / f"{name}.log"


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return shorten(next((line for line in reversed(lines) if line.strip()), "no reason given"), 200)
