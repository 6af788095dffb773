"""Worker processes that apply a function to tasks and return the results in order; they cannot make the program hang.

PyTorch's DataLoader sends batches through ``/dev/shm``, which is small in containers, a descriptor for each tensor, and
its workers share one queue. Here each has two pipes of its own. When it dies, even in the middle of a message, the
program reads the end of its pipe, and in the same way a worker notices that the program has ended.
"""

import os
import weakref
from collections.abc import Callable, Generator, Iterable
from itertools import count
from multiprocessing.connection import wait
from typing import Any, Generic, TypeVar

from dataprep.errors import UserError
from vicregl_fast.data.open_files import missing_open_files, open_file_limit
from vicregl_fast.data.worker_process import WorkerProcess, task_error

Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 2
"""How many results a worker may be ahead of the consumer, as the ``prefetch_factor`` of a DataLoader."""

_PIPE_ENDS = 2  # descriptors that the program holds for each worker

_pools: "weakref.WeakSet[WorkerPool]" = weakref.WeakSet()


class WorkerPool(Generic[Task, Result]):
    """Processes that are forked at the first use, and live until ``close`` or the end of the program.

    Args:
        function: takes the number of the worker that calls it, and a task; may raise UserError.
        workers: how many processes; 0 calls the function in this process.
        option: the command-line option that sets ``workers``, for messages.
    """

    def __init__(self, function: Callable[[int, Task], Result], workers: int, option: str):
        self._function, self._size, self._option = function, workers, option
        self._workers: list[WorkerProcess] = []
        weakref.finalize(self, _end, self._workers, os.getpid())
        _pools.add(self)

    def start(self) -> None:
        """Forks the processes that do not run, which ``map`` does, too; to be called before threads work.

        Raises:
            UserError: the system allows no more open files or processes.
        """
        missing = self._size - len(self._workers)
        lacking = missing_open_files(_PIPE_ENDS * missing)
        if lacking:
            limit = open_file_limit() + lacking
            raise UserError(
                f"with {self._size} loading processes this program needs up to {limit} open files, and the system "
                f"allows {open_file_limit()}: raise the limit with ulimit -n {limit}, or lower {self._option}"
            )
        try:
            for number in range(len(self._workers), self._size):
                self._workers.append(WorkerProcess(self._function, number, _pipes))
        except OSError as error:
            self.close()
            raise UserError(
                f"{self._size} loading processes cannot be started ({error.strerror}): lower {self._option}"
            ) from error

    def map(self, tasks: Iterable[Task]) -> Generator[Result, None, None]:
        """Yields the results of tasks in their order; after an error, or if it is left early, call ``close``.

        Raises:
            UserError: the function raised it, or any other exception, or memory ran out.
            WorkerDied: a worker has died.
        """
        if not self._size:
            yield from map(self._here, tasks)
            return
        self.start()
        waiting, given = iter(tasks), 0
        ready: dict[int, Any] = {}
        for wanted in count():
            while wanted not in ready:
                given += self._hand_out(waiting, given, wanted + AHEAD * self._size)
                if given == wanted:
                    return
                ready.update(self._collect())
            result = ready.pop(wanted)
            if isinstance(result, UserError):
                raise result
            yield result

    def kill(self) -> None:
        """Ends the processes at once, whatever thread waits for them, which gets an error; ``close`` must follow."""
        for worker in self._workers:
            worker.kill()

    def close(self) -> None:
        """Ends the processes; the next ``map`` starts new ones."""
        _end(self._workers, os.getpid())
        for worker in self._workers:
            worker.close()
        self._workers.clear()

    def _here(self, task: Task) -> Result:
        try:
            return self._function(0, task)
        except Exception as error:
            raise task_error(error) from error

    def _hand_out(self, waiting: Iterable[Task], given: int, limit: int) -> int:
        """Gives idle workers the next tasks, up to the place ``limit``; returns how many."""
        idle = [worker for worker in self._workers if worker.place is None]
        places = range(given, limit)
        handed = 0
        for worker, place, task in zip(idle, places, waiting, strict=False):
            worker.give(place, task)
            handed += 1
        return handed

    def _collect(self) -> dict[int, Any]:
        """Waits for results, and returns those that are there, by the places of their tasks."""
        by_pipe = {worker.results: worker for worker in self._workers}
        return dict(by_pipe[pipe].take() for pipe in wait(list(by_pipe)))  # type: ignore[arg-type, index]  # has a fileno


def _pipes() -> list[int]:
    """The descriptors that this process holds for all its workers."""
    return [descriptor for pool in _pools for worker in pool._workers for descriptor in worker.descriptors()]


def _end(workers: list[WorkerProcess], owner: int) -> None:
    if os.getpid() != owner:  # a process that was forked from it
        return
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.wait()
