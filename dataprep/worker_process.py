"""What a worker process runs: one chunk of items after another, until the program that started it closes the pipe."""

import os
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import TypeVar

from dataprep.stopping import SIGNALS

Item = TypeVar("Item")
Result = TypeVar("Result")


def work(tasks_end: int, results_end: int) -> None:
    """Receives a function and then numbered chunks from one pipe, and sends numbered lists of results to another.

    Args:
        tasks_end: file descriptor of the worker's end of the first pipe.
        results_end: file descriptor of the worker's end of the second pipe.
    """
    for each in SIGNALS:  # may go to all processes of a job; the program that started this worker ends it
        signal.signal(each, signal.SIG_IGN)
    tasks, results = Connection(tasks_end, writable=False), Connection(results_end, readable=False)
    try:
        function = tasks.recv()
        # C libraries print what is wrong with a file; the function's result says it, and once.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        while True:
            number, chunk = tasks.recv()
            results.send((number, _outcome(function, chunk)))
    except (EOFError, ConnectionError):
        return  # the program has ended or closed the pipe


def _outcome(function: Callable[[Item], Result], chunk: Sequence[Item]) -> list[Result] | Exception:
    try:
        return [function(item) for item in chunk]
    except Exception as error:  # the program raises it again
        return error
