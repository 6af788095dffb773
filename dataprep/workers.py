"""Distributes work over processes and returns the results in order; it cannot hang when a worker dies.

Every worker has its own two pipes, and no other worker holds an end of them. When it dies, even in the middle of a
message, the program therefore reads the end of the pipe. (With one queue shared by all workers, as in multiprocessing's
pools, it would wait for the rest of the message.) In the same way, a worker notices at once when the program has ended.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

from dataprep.errors import UserError
from dataprep.stopping import check_stop

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 8  # items per message; a chunk of paths is well below a pipe's buffer, so that sending it never blocks
AHEAD = 4  # chunks per worker that may be computed before the consumer needs them
PIPE_BYTES = 1 << 20  # buffer for results; it holds most chunks of images whole
PATIENCE = 0.5  # seconds between checks whether the program is to stop
CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL}  # a decoder's own

# multiprocessing's own way to start a process is not used. If it is interrupted, the child prints a traceback; and it
# imports the main program again, which fails for a script without `if __name__ == "__main__"`.
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from dataprep.worker_process import work; work(int(sys.argv[2]), int(sys.argv[3]))"
)


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def ordered_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    chunk: int = CHUNK,
    *,
    name: Callable[[Item], str] | None = None,
    crashed: Callable[[Item], Result] | None = None,
) -> Generator[Result, None, None]:
    """Yields ``function(item)``, computed by worker processes, in the order of the items.

    At most ``AHEAD`` chunks per worker are in memory. An exception of the function is raised here. Close the generator
    to end the workers early.

    Args:
        function: can be pickled, and imported by name from a module other than the main program.
        items: can be pickled.
        workers: number of processes, at least 1.
        chunk: items in a message to a worker.
        name: what the error calls an item, if the worker died that had it.
        crashed: the result for an item at which the worker crashes, as a faulty decoder does; without it, an error.

    Raises:
        UserError: a worker died.
    """
    starts = range(0, len(items), chunk)
    crew = _Crew(function, min(workers, len(starts)), name, crashed)
    try:
        ready: dict[int, list[Result]] = {}
        given = 0
        for wanted in range(len(starts)):
            while wanted not in ready:
                check_stop()
                while crew.idle and given < len(starts) and given < wanted + AHEAD * workers:
                    crew.give(given, items[starts[given] : starts[given] + chunk])
                    given += 1
                ready.update(crew.collect())
            yield from ready.pop(wanted)
    finally:
        crew.end()


class _Crew(Generic[Item, Result]):
    """The worker processes. Our end of the pipe that carries a worker's results stands for this worker."""

    def __init__(
        self,
        function: Callable[[Item], Result],
        size: int,
        name: Callable[[Item], str] | None,
        crashed: Callable[[Item], Result] | None,
    ) -> None:
        self.function, self.name, self.crashed = function, name, crashed
        self.tasks: dict[Connection, Connection] = {}  # by worker, our end of the pipe that carries its tasks
        self.idle: list[Connection] = []
        self.busy: dict[Connection, tuple[int, Sequence[Item]]] = {}  # by worker, its chunk
        self.processes: dict[Connection, subprocess.Popen] = {}
        try:
            for _ in range(size):
                self._start()
        except OSError as error:
            self.end()
            raise UserError(
                f"{size} worker processes cannot be started ({error.strerror or error}): give fewer --workers"
            ) from error
        except BaseException:
            self.end()
            raise

    def _start(self) -> None:
        their_tasks, tasks = Pipe(duplex=False)
        results, their_results = Pipe(duplex=False)
        _widen(results)
        with their_tasks, their_results:
            ends = their_tasks.fileno(), their_results.fileno()
            program = [sys.executable, "-c", _PROGRAM, json.dumps([*map(str, sys.path)]), *map(str, ends)]
            # In its own process group, which Ctrl-C in a terminal does not reach.
            process = subprocess.Popen(program, stdin=subprocess.DEVNULL, pass_fds=ends, process_group=0)
        self.processes[results] = process
        self.tasks[results] = tasks
        self.idle.append(results)
        try:
            tasks.send(self.function)
        except OSError as error:
            raise self._death() from error

    def give(self, index: int, chunk: Sequence[Item]) -> None:
        worker = self.idle.pop()
        try:
            self.tasks[worker].send((index, chunk))
        except OSError as error:
            raise self._death() from error
        self.busy[worker] = (index, chunk)

    def collect(self) -> dict[int, list[Result]]:
        """Waits at most ``PATIENCE`` for a worker to finish its chunk; returns the results that are there, by chunk.

        Idle workers are waited for, too: the only thing that their pipes can give is the end of the pipe.
        """
        finished: dict[int, list[Result]] = {}
        for connection in wait([*self.busy, *self.idle], PATIENCE):
            assert isinstance(connection, Connection)
            try:
                index, results = connection.recv()
            except (EOFError, OSError) as error:
                check_stop()  # a stop signal to all processes of a job may also have ended the worker
                index, chunk = self.busy.get(connection, (-1, ()))
                if not self._has_crashed(connection, chunk):
                    raise self._death(chunk) from error
                self._replace(connection)
                finished[index] = [self._alone(item) for item in chunk]
                continue
            if isinstance(results, Exception):
                raise results
            finished[index] = results
            del self.busy[connection]
            self.idle.append(connection)
        return finished

    def _has_crashed(self, worker: Connection, chunk: Sequence[Item]) -> bool:
        """Whether a dead worker fell at its chunk, and not by the hand of the system or a user."""
        fell = -self.processes[worker].wait() in CRASHES
        return fell and len(chunk) > 0 and self.crashed is not None

    def _replace(self, worker: Connection) -> None:
        del self.busy[worker], self.processes[worker]
        worker.close()
        self.tasks.pop(worker).close()
        self._start()

    def _alone(self, item: Item) -> Result:
        """The result for one item of a chunk at which a worker has crashed, from a worker that does nothing else."""
        assert self.crashed is not None
        single = _Crew(self.function, 1, self.name, None)
        try:
            (worker,) = single.idle
            single.give(0, [item])
            while True:
                check_stop()
                try:
                    done = single.collect()
                except UserError:
                    if -single.processes[worker].wait() in CRASHES:
                        return self.crashed(item)
                    raise
                if done:
                    return done[0][0]
        finally:
            single.end()

    def _death(self, chunk: Sequence[Item] = ()) -> UserError:
        names = [self.name(item) for item in chunk] if self.name else []
        where = f" (at {names[0]} or one of the {len(names) - 1} after it)" if len(names) > 1 else ""
        where = f" (at {names[0]})" if len(names) == 1 else where
        return UserError(
            f"a worker process died{where}, killed perhaps for lack of memory, and nothing was written; "
            "try again with fewer --workers"
        )

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
        for results, tasks in self.tasks.items():
            results.close()
            tasks.close()


def _widen(pipe: Connection) -> None:
    try:
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except OSError:
        return  # the user's limit of memory for pipes is reached; the default size works, too
