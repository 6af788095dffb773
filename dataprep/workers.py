"""Work shared out to processes, its results in order, without a way to hang when one of them dies.

Every worker has pipes of its own whose far ends only it holds, so that its death, even in the middle of a
message, reads as the end of its pipe. (Where workers share one queue, as in multiprocessing's pools, the
reader would wait for the rest of the message.) For the same reason a worker sees at once that the program is gone.
"""

import fcntl
import json
import os
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

CHUNK = 8  # items a message: one chunk of paths stays well below a pipe's buffer, so that sending never blocks
AHEAD = 4  # chunks that a worker may be ahead of the consumer
PIPE_BYTES = 1 << 20  # for results: a whole chunk of images, so that few are sent in pieces
PATIENCE = 0.5  # seconds between looks whether the program is to stop

# Not multiprocessing's own start of a process: interrupted, that leaves a child which prints a traceback, and it runs
# the main program again, which a script without `if __name__ == "__main__"` does not survive.
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from dataprep.worker_process import work; work(int(sys.argv[2]), int(sys.argv[3]))"
)


def available_cores() -> int:
    return len(os.sched_getaffinity(0))


def ordered_map(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Generator[Result, None, None]:
    """Yields ``function(item)`` in the order of the items, computed by ``workers`` processes (at least 1).

    The function must be importable by name, from another module than the main program.
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
        # A worker is known by our end of the pipe that its results come out of.
        self.tasks: dict[Connection, Connection] = {}
        self.idle: list[Connection] = []
        self.busy: list[Connection] = []
        self.processes: list[subprocess.Popen] = []
        try:
            for _ in range(size):
                self._start(function)
        except BaseException:
            self.end()
            raise

    def _start(self, function: Callable[[Item], Result]) -> None:
        their_tasks, tasks = Pipe(duplex=False)
        results, their_results = Pipe(duplex=False)
        _widen(results)
        with their_tasks, their_results:
            ends = their_tasks.fileno(), their_results.fileno()
            program = [sys.executable, "-c", _PROGRAM, json.dumps([*map(str, sys.path)]), *map(str, ends)]
            # In a group of its own, which Ctrl-C in a terminal does not reach.
            process = subprocess.Popen(program, stdin=subprocess.DEVNULL, pass_fds=ends, process_group=0)
        self.processes.append(process)
        self.tasks[results] = tasks
        self.idle.append(results)
        try:
            tasks.send(function)
        except OSError as error:
            raise _death() from error

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
                check_stop()  # a signal to all processes of a job may reach a worker first
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
            process.wait()
        for results, tasks in self.tasks.items():
            results.close()
            tasks.close()


def _widen(pipe: Connection) -> None:
    try:
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except OSError:
        return  # the user has no more memory for pipes, and narrow ones do


def _death() -> UserError:
    return UserError(
        "a worker process died, killed perhaps for lack of memory, and nothing was written; "
        "try again with fewer --workers"
    )
