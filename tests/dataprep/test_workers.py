"""Sharing work out to processes: order, errors, and workers that die."""

import os
import signal
import subprocess
import sys
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


PROGRAM = """
from dataprep.stopping import clean_stop
from dataprep.workers import ordered_map
from tests.dataprep.test_workers import late_square
with clean_stop():
    print("begun", flush=True)
    list(ordered_map(late_square, range(100_000), 4))
"""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("whole_group", [True, False])
def test_workers_are_silent_and_gone_whenever_their_program_leaves(number: int, whole_group: bool) -> None:
    """At moments around the start of the workers, when they may have read half of what they are to do."""
    for moment in range(6):
        program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
        )
        assert program.stdout is not None and program.stderr is not None
        assert program.stdout.readline() == b"begun\n"
        time.sleep(0.03 * moment)
        if whole_group:
            os.killpg(program.pid, number)
        else:
            program.send_signal(number)
        said = program.stderr.read()  # ends when the last worker has closed it, too
        assert program.wait() == (-number if number == signal.SIGKILL else 128 + number)
        assert b"Traceback" not in said and b"Error" not in said


def test_a_script_without_a_main_guard_has_workers(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(PROGRAM.replace("100_000", "20"))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"begun\n", b"")


def test_a_signal_that_is_ignored_stays_so(capfd: pytest.CaptureFixture) -> None:
    """As SIGHUP under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with clean_stop():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN and capfd.readouterr().err == ""
    finally:
        signal.signal(signal.SIGHUP, before)


def crash_at(value: int) -> int:
    """A faulty decoder, at values of different chunks."""
    if value in (5, 21, 22):
        os.kill(os.getpid(), signal.SIGSEGV)
    return value


@pytest.mark.timeout(60)
@pytest.mark.parametrize("workers", [1, 3])
def test_an_item_that_crashes_its_worker_costs_no_other(workers: int) -> None:
    results = list(ordered_map(crash_at, range(40), workers, crashed=lambda value: -value))
    assert results == [-value if value in (5, 21, 22) else value for value in range(40)]


@pytest.mark.timeout(60)
def test_a_death_names_what_the_worker_had() -> None:
    with pytest.raises(UserError, match=r"a worker process died \(at item 0 or one of the 7 after it\), killed"):
        list(ordered_map(crash_at, range(8), 1, name=lambda value: f"item {value}"))
    with pytest.raises(UserError, match=r"a worker process died \(at item 40\)"):
        list(ordered_map(big_then_killed, [40], 1, name=lambda value: f"item {value}", crashed=lambda value: b""))


def speak(value: int) -> int:
    os.write(2, b"libtiff: something is odd\n")
    return value


@pytest.mark.timeout(60)
def test_what_libraries_print_in_workers_is_not_seen(capfd: pytest.CaptureFixture) -> None:
    assert list(ordered_map(speak, range(3), 2)) == [0, 1, 2]
    assert capfd.readouterr().err == ""


def test_more_workers_than_may_have_pipes_are_one_sentence() -> None:
    code = (
        "import resource; from dataprep.workers import ordered_map; from dataprep.errors import exit_on_user_error\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "with exit_on_user_error():\n    print(*ordered_map(abs, range(1000), 100))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == "error: 100 worker processes cannot be started (Too many open files): give fewer --workers\n"
