"""Sharing work out to processes: order, errors, and workers that die."""

import os
import signal
import time
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

from dataprep.errors import UserError
from dataprep.stopping import clean_stop
from dataprep.workers import ordered_map


def late_square(value: int) -> int:
    """The earlier items take longer, so that results come out of order."""
    time.sleep(0.02 if value < 8 else 0.0)
    return value * value


def big_then_killed(value: int) -> bytes:
    """Results larger than any pipe; the worker that gets item 40 is killed."""
    if value == 40:
        os.kill(os.getpid(), signal.SIGKILL)
    return bytes(300_000)


def full_disk(value: int) -> int:
    raise OSError(28, "No space left on device")


def leave_trace(folder: str) -> int:
    Path(folder, str(os.getpid())).touch()
    return os.getpid()


def endless(value: int) -> None:
    time.sleep(3600)


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_order(workers: int) -> None:
    assert list(ordered_map(late_square, range(61), workers)) == [value**2 for value in range(61)]


def test_nothing_to_do_starts_nothing() -> None:
    assert list(ordered_map(late_square, [], 2)) == []


@pytest.mark.timeout(60)
def test_a_killed_worker_is_reported() -> None:
    with pytest.raises(UserError, match="a worker process died"):
        list(ordered_map(big_then_killed, range(200), 2))


@pytest.mark.timeout(60)
def test_an_error_in_a_worker_is_raised_here() -> None:
    with pytest.raises(OSError, match="No space left on device"):
        list(ordered_map(full_disk, range(20), 2))


@pytest.mark.timeout(60)
def test_closing_ends_the_workers(tmp_path: Path) -> None:
    with closing(ordered_map(leave_trace, [str(tmp_path)] * 100, 2)) as results:
        next(results)
    assert not any(psutil.pid_exists(int(trace.name)) for trace in tmp_path.iterdir())


@pytest.mark.timeout(60)
def test_a_stop_that_was_swallowed_is_not_lost() -> None:
    """C code that calls back into Python drops exceptions, and with them the signal handler's."""
    with clean_stop(), pytest.raises(SystemExit) as stop:
        with suppress(SystemExit):
            os.kill(os.getpid(), signal.SIGTERM)
        next(ordered_map(endless, range(2), 1))
    assert stop.value.code == 128 + signal.SIGTERM


@pytest.mark.timeout(60)
def test_a_stop_is_over_when_its_context_is_left() -> None:
    with clean_stop(), suppress(SystemExit):
        os.kill(os.getpid(), signal.SIGTERM)
    with clean_stop():
        assert list(ordered_map(late_square, range(2), 1)) == [0, 1]


def test_a_signal_that_is_ignored_stays_so(capfd: pytest.CaptureFixture) -> None:
    """As SIGHUP under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with clean_stop():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN and capfd.readouterr().err == ""
    finally:
        signal.signal(signal.SIGHUP, before)
