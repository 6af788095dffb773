"""Work shared out to processes, its results in order, without a way to hang when one of them dies.

Every worker has pipes of its own whose far ends only it holds, so that its death, even in the middle of a
message, reads as the end of its pipe. (Where workers share one queue, as in multiprocessing's pools, the
reader would wait for the rest of the message.)
"""

import fcntl
import os
import signal
from collections.abc import Callable, Generator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

from dataprep.errors import UserError
from dataprep.stopping import check_stop

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 8  # items a message: one chunk of paths stays well below a pipe's buffer, so that sending never blocks
AHEAD = 4  # chunks that a worker may be ahead of the consumer
PIPE_BYTES = 1 << 20  # for results: a whole chunk of images, so that few are sent in pieces
PATIENCE = 0.5  # seconds between looks whether the program is to stop


def available_cores() -> int:
    return len(os.sched_getaffinity(0))


def ordered_map(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Generator[Result, None, None]:
    """Yields ``function(item)`` in the order of the items, computed by ``workers`` processes (at least 1).

    Processes are spawned: the function must be importable, and so must the main program, without running it.
    At most ``AHEAD`` chunks a worker are held in memory. Close the generator to end the workers early.

    Raises:
        UserError: a worker died. What the function raises is raised here.
    """
    starts = range(0, len(items), CHUNK)
    crew = _Crew(function, min(workers, len(starts)))
    try:
        ready: dict[int, list[Result]] = {}
        given = 0
        for wanted in range(len(starts)):
            while wanted not in ready:
                check_stop()
                while crew.idle and given < len(starts) and given < wanted + AHEAD * workers:
                    crew.give(given, items[starts[given] : starts[given] + CHUNK])
                    given += 1
                ready.update(crew.collect())
            yield from ready.pop(wanted)
    finally:
        crew.end()


class _Crew(Generic[Item, Result]):
    def __init__(self, function: Callable[[Item], Result], size: int) -> None:
        context = get_context("spawn")
        # Workers are known by the end that their results come out of.
        self.tasks: dict[Connection, Connection] = {}
        self.idle: list[Connection] = []
        self.busy: list[Connection] = []
        self.processes: list[BaseProcess] = []
        try:
            for _ in range(size):
                their_tasks, tasks = context.Pipe(duplex=False)
                results, their_results = context.Pipe(duplex=False)
                _widen(results)
                self.tasks[results] = tasks
                self.idle.append(results)
                process = context.Process(target=_work, args=(their_tasks, their_results, function), daemon=True)
                process.start()
                self.processes.append(process)
                their_tasks.close()
                their_results.close()
        except BaseException:
            self.end()
            raise

    def give(self, index: int, chunk: Sequence[Item]) -> None:
        worker = self.idle.pop()
        try:
            self.tasks[worker].send((index, chunk))
        except OSError as error:
            raise _death() from error
        self.busy.append(worker)

    def collect(self) -> dict[int, list[Result]]:
        """Waits a little for some worker to finish its chunk, and takes what is there.

        Of an idle worker nothing can come but the end of its pipe.
        """
        finished: dict[int, list[Result]] = {}
        for connection in wait(self.busy + self.idle, PATIENCE):
            assert isinstance(connection, Connection)
            try:
                index, results = connection.recv()
            except (EOFError, OSError) as error:
                raise _death() from error
            if isinstance(results, Exception):
                raise results
            finished[index] = results
            self.busy.remove(connection)
            self.idle.append(connection)
        return finished

    def end(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.join()
        for results, tasks in self.tasks.items():
            results.close()
            tasks.close()


def _widen(pipe: Connection) -> None:
    try:
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except OSError:
        return  # the user has no more memory for pipes, and narrow ones do


def _work(tasks: Connection, results: Connection, function: Callable[[Item], Result]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends the workers
    try:
        while True:
            index, chunk = tasks.recv()
            results.send((index, _outcome(function, chunk)))
    except (EOFError, BrokenPipeError):
        return  # the parent is gone


def _outcome(function: Callable[[Item], Result], chunk: Sequence[Item]) -> list[Result] | Exception:
    try:
        return [function(item) for item in chunk]
    except Exception as error:  # raised again by the parent
        return error


def _death() -> UserError:
    return UserError(
        "a worker process died, killed perhaps for lack of memory, and nothing was written; "
        "try again with fewer --workers"
    )
