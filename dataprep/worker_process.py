"""What a worker process does: one chunk of items at a time, until the program that started it closes the pipe."""

import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import TypeVar

from dataprep.stopping import SIGNALS

Item = TypeVar("Item")
Result = TypeVar("Result")


def work(tasks_end: int, results_end: int) -> None:
    """Takes a function and then numbered chunks out of one pipe, and puts numbered lists of results into the other.

    Args:
        tasks_end, results_end: file descriptors of the worker's ends of the two pipes.
    """
    for each in SIGNALS:  # a job's whole group may get them; the program that started the worker ends it
        signal.signal(each, signal.SIG_IGN)
    tasks, results = Connection(tasks_end, writable=False), Connection(results_end, readable=False)
    try:
        function = tasks.recv()
        while True:
            number, chunk = tasks.recv()
            results.send((number, _outcome(function, chunk)))
    except (EOFError, ConnectionError):
        return  # the program is gone


def _outcome(function: Callable[[Item], Result], chunk: Sequence[Item]) -> list[Result] | Exception:
    try:
        return [function(item) for item in chunk]
    except Exception as error:  # raised again by the program
        return error
