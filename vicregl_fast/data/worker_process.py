"""A worker process: what it does, and how the program that forked it gives it tasks, takes results and ends it."""

import gc
import io
import os
import select
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch

from dataprep.errors import UserError
from dataprep.stopping import SIGNALS
from vicregl_fast.data.pipe_messages import Parts, encode, receive, send

Function = Callable[[int, Any], Any]
"""What workers apply: it takes the worker's number and a task."""


class WorkerDied(UserError):
    """A worker process has ended before its time.

    Args:
        process: its id.
        number: its place among the workers.
        reason: how it ended.
    """

    def __init__(self, process: int, number: int, reason: str):
        self.process, self.number, self.reason = process, number, reason
        super().__init__(f"a loading process died: {reason}")


class WorkerProcess:
    """A process that applies a function to one task after another, until its pipe of tasks is closed.

    It ignores the signals that ask a program to stop, since they may go to all processes of a job. It is the program
    that ends it, if only by ending itself.

    Args:
        function: what it applies.
        number: its place among the workers, from 0.
        foreign: lists file descriptors that it must not hold: the program's ends of the pipes of other workers.

    Attributes:
        process: its id.
        results: the pipe to wait at for its result, or for its death.
        place: which task it works on; None while it has none.

    Raises:
        OSError: the system allows no more processes or open files.
    """

    def __init__(self, function: Function, number: int, foreign: Callable[[], list[int]]):
        self.number = number
        self.place: int | None = None
        their_tasks, tasks = os.pipe()
        with open(their_tasks, "rb") as given:
            self._tasks = io.FileIO(tasks, "wb")
            results, their_results = os.pipe()
            self.results: io.BufferedReader = io.BufferedReader(io.FileIO(results))
            with io.FileIO(their_results, "wb") as made:
                # Until the process ignores them, these signals would end it.
                before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
                try:
                    not_its_own = [*foreign(), *self.descriptors()]
                    self.process = os.fork()
                    if self.process == 0:
                        _be_worker(function, number, given, made, not_its_own)
                finally:
                    signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def descriptors(self) -> tuple[int, int]:
        """The program's ends of the two pipes."""
        return self._tasks.fileno(), self.results.fileno()

    def give(self, place: int, task: Any) -> None:
        """Gives the worker, which has none, a task.

        Raises:
            WorkerDied: it is dead.
        """
        try:
            send(self._tasks, encode(task))
        except BrokenPipeError:
            raise self._death() from None
        self.place = place

    def take(self) -> tuple[int, Any]:
        """The place and the result of its task; the result is a UserError where the function raised an exception.

        Raises:
            WorkerDied: it is dead.
        """
        try:
            result = receive(self.results)
        except EOFError:
            raise self._death() from None
        assert self.place is not None
        place, self.place = self.place, None
        return place, result

    def kill(self) -> None:
        """Ends the process at once; another thread may be waiting for its result."""
        with suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGKILL)

    def wait(self) -> None:
        """Waits until the process, which has been killed, has ended, and collects its exit status."""
        with suppress(ChildProcessError):
            os.waitpid(self.process, 0)

    def close(self) -> None:
        """Closes the pipes, at which no thread may still wait."""
        self._tasks.close()
        self.results.close()

    def _death(self) -> WorkerDied:
        self.kill()  # it has closed its pipes, so that it is ending; its exit status is the one that it had
        return WorkerDied(self.process, self.number, _how_it_ended(self.process))


def task_error(error: Exception) -> UserError:
    """What a task that failed is reported as, in one sentence."""
    if isinstance(error, UserError):
        return UserError(str(error))
    if isinstance(error, MemoryError):
        return UserError("there is not enough memory to load images: load with fewer workers, or in smaller batches")
    said = next(iter(str(error).splitlines()), "")
    return UserError(f"loading images failed with {type(error).__name__}: {said}")


def _how_it_ended(child: int) -> str:
    try:
        end = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    except ChildProcessError:  # where the parent of this program ignores SIGCHLD, nothing is kept
        end = None
    if end is None:
        return "the system does not say why"
    if end.si_code == os.CLD_EXITED:
        return f"it ended with exit code {end.si_status}"
    name = signal.Signals(end.si_status).name
    if end.si_status == signal.SIGKILL:
        return f"it was killed ({name}), as the system does where memory runs out: fewer workers need less"
    return f"it was ended by {name}: look at what it read"


def _be_worker(
    function: Function, number: int, tasks: io.BufferedReader, results: io.FileIO, foreign: Sequence[int]
) -> None:
    """Works until the program ends or closes the pipe of tasks. Does not return."""
    code = 1
    try:
        gc.freeze()  # what the program left to be collected is the program's, as are the processes that it may end
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        for descriptor in foreign:  # otherwise the other workers would not see that the program ends
            with suppress(OSError):
                os.close(descriptor)
        threading.Thread(target=_end_with_program, args=[tasks], daemon=True).start()
        torch.set_num_threads(1)
        while True:
            send(results, _outcome(function, number, receive(tasks)))
    except (EOFError, BrokenPipeError):
        code = 0
    finally:
        os._exit(code)


def _end_with_program(tasks: io.BufferedReader) -> None:
    """Ends the process as soon as the program has ended, even in the middle of a batch."""
    hang_up = select.poll()
    hang_up.register(tasks, 0)
    hang_up.poll()
    os._exit(0)


def _outcome(function: Function, number: int, task: Any) -> Parts:
    try:
        return encode(function(number, task))
    except Exception as error:
        return encode(task_error(error))
