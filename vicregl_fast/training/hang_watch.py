"""Ends a process that was asked to stop and waits in vain, or whose launcher is gone.

A process of several may wait for one that will never come: for a batch from a disk that is gone, or in a collective for
the process that waits for it. Such a wait is in compiled code, where Python's signal handlers do not run.
"""

import os
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from dataprep.stopping import SIGNALS
from vicregl_fast.training.launchers import speaks_for_its_machine
from vicregl_fast.training.signals import exit_code

STARTING = 3.0
"""Seconds that a process which has not joined the others yet may take to stop; nothing can be lost."""
LEAST_PATIENCE = 20.0
"""Seconds that a process may take to stop if its steps are short; torchrun and SLURM kill it after 30."""
WARNED_PATIENCE = 120.0
"""The same after SIGUSR1, by which schedulers warn minutes ahead."""
PARENTS = ("TORCHELASTIC_RUN_ID", "SUBMITIT_LOCAL_JOB_ID")
"""Variables of launchers that are the parents of what they start, and end only after it. A shell may end earlier."""

_POLL_SECONDS = 1.0


class HangWatch:
    """A thread that watches for signals to stop, and for the launcher's end, while the process waits.

    Once a stop is asked for and no ``beat`` has come for as long as twice the longest recent time between two, the
    process prints one sentence and ends at once, with the exit code of the signal. The end of the launcher asks for a
    stop, as SIGTERM does.

    Attributes:
        received: number of the last signal that asked for a stop, or None.
        farewell: says, in words that follow a semicolon, how the run goes on.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.farewell: Callable[[], str] = lambda: "nothing had been done yet"
        self._asked_at = 0.0
        self._last_beat: float | None = None
        self._intervals: deque[float] = deque(maxlen=50)
        self._paused = 0
        self._parent: int | None = None
        self._tells = True

    @contextmanager
    def watching(self, variables: Mapping[str, str]) -> Iterator["HangWatch"]:
        """Watches in a ``with`` block, which the main thread must enter.

        Args:
            variables: of the environment, which say by whom the process was started.
        """
        if any(variables.get(name) for name in PARENTS):
            self._parent = os.getppid()
            self._tells = speaks_for_its_machine(variables)
        wakes, woken = os.pipe()
        os.set_blocking(woken, False)
        before = signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        ended = threading.Event()
        thread = threading.Thread(target=self._watch, args=(wakes, ended), name="hang-watch", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            signal.set_wakeup_fd(before)
            ended.set()
            os.write(woken, b"\0")
            thread.join()
            os.close(wakes)
            os.close(woken)

    def begin(self, farewell: Callable[[], str]) -> None:
        """Says that steps begin, and how the run goes on; what came before does not tell how long a step takes."""
        self.farewell = farewell
        self._intervals.clear()
        self._last_beat = time.monotonic()

    def beat(self) -> None:
        """Says that this process has got on: it has joined the others, or ended a step."""
        now = time.monotonic()
        if self._last_beat is not None:
            self._intervals.append(now - self._last_beat)
        self._last_beat = now

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Lets the work in a ``with`` block take as long as it takes, such as saving."""
        self._paused += 1
        try:
            yield
        finally:
            self._last_beat = time.monotonic()
            self._paused -= 1

    def _watch(self, wakes: int, ended: threading.Event) -> None:
        while not ended.is_set():
            if select.select([wakes], [], [], _POLL_SECONDS)[0]:
                self._take([number for number in os.read(wakes, 1024) if number in SIGNALS])
            if self._parent is not None and os.getppid() != self._parent:
                self._parent = None
                if self._tells:
                    _say("what started this process is gone, so that it stops, too")
                os.kill(os.getpid(), signal.SIGTERM)
            self._end_if_in_vain()

    def _take(self, numbers: list[int]) -> None:
        if numbers and self.received is None:
            self._asked_at = time.monotonic()
        if numbers:
            self.received = numbers[-1]

    def _end_if_in_vain(self) -> None:
        if self.received is None or self._paused:
            return
        waited = time.monotonic() - max(self._asked_at, self._last_beat or 0.0)
        if waited > self._patience():
            name = signal.Signals(self.received).name
            _say(f"{name} asked for a stop {waited:.0f} s ago, and nothing has come on since; {self.farewell()}")
            os._exit(exit_code(self.received))

    def _patience(self) -> float:
        if self._last_beat is None:
            return STARTING
        least = WARNED_PATIENCE if self.received == signal.SIGUSR1 else LEAST_PATIENCE
        return max([least, *(2 * interval for interval in self._intervals)])


def _say(sentence: str) -> None:
    """Writes past Python's streams, which the waiting thread may hold."""
    os.write(2, f"\nnote: {sentence}\n".encode())
